"""Where the outcomes of calls are kept, so that a call that is sent again is done once."""

from datetime import datetime

from sqlalchemy import Connection, select

from tame_router.registry.record import Call
from tame_router.registry.records.ledger import Ledger, Writing
from tame_router.registry.records.row import microseconds
from tame_router.registry.records.tables import REQUEST


class RequestStore(Ledger):
    """Keeps outcomes by tenant, method and request id."""

    def remember(self, tenant: str, method: str, request_id: str, outcome: str) -> str:
        """Keep what a call came to, unless its outcome is kept already.

        Args:
            tenant: Whose call.
            method: What was called.
            request_id: Names the call; not empty.
            outcome: What it came to, JSON.

        Returns:
            The outcome that is kept: that of the first.
        """
        call = Call(tenant=tenant, method=method, request_id=request_id)
        with self._changing() as writing:
            known = find_outcome(writing.connection, call)
            if known is None:
                insert_outcome(writing, call, outcome)
        return outcome if known is None else known

    def recall(self, tenant: str, method: str, request_id: str) -> str | None:
        """Give what a call came to, JSON; None: it was not done."""
        with self._database.transaction() as connection:
            call = Call(tenant=tenant, method=method, request_id=request_id)
            return find_outcome(connection, call)

    def forget(self, before: datetime) -> int:
        """Drop the outcomes of calls before a moment, and count them."""
        old = REQUEST.c.create_time_us < microseconds(before)
        with self._database.transaction() as connection:
            return connection.execute(REQUEST.delete().where(old)).rowcount


def find_outcome(connection: Connection, call: Call) -> str | None:
    """Read what a call came to, JSON; None: it was not done."""
    same = (REQUEST.c.tenant == call.tenant) & (REQUEST.c.method == call.method)
    same &= REQUEST.c.request_id == call.request_id
    return connection.execute(select(REQUEST.c.outcome).where(same)).scalar_one_or_none()


def insert_outcome(writing: Writing, call: Call, outcome: str) -> None:
    """Keep within a change what a call came to, JSON, that was not done before."""
    row = {
        "tenant": call.tenant,
        "method": call.method,
        "request_id": call.request_id,
        "outcome": outcome,
        "create_time_us": microseconds(writing.now),
    }
    writing.connection.execute(REQUEST.insert().values(row))
