"""Where the outcomes of calls are kept, so that a call that is sent again is done once."""

from datetime import datetime

from sqlalchemy import Connection, select

from tame_router.errors import InvalidRequestError
from tame_router.registry.ledger import Ledger, Writing
from tame_router.registry.record import Call
from tame_router.registry.row import microseconds
from tame_router.registry.tables import REQUEST


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
        with self._changing() as writing:
            return keep_outcome(writing, tenant, method, request_id, outcome)

    def made(self, tenant: str, call: Call | None) -> bool:
        """Tell whether a call was made before.

        Args:
            tenant: Whose call.
            call: The call; None: one that nothing names.

        Raises:
            InvalidRequestError: When another call had its name.
        """
        with self._database.transaction() as connection:
            return call is not None and was_made(connection, tenant, call)

    def recall(self, tenant: str, method: str, request_id: str) -> str | None:
        """Give what a call came to, JSON; None: it was not done."""
        with self._database.transaction() as connection:
            return _find(connection, tenant, method, request_id)

    def forget(self, before: datetime) -> int:
        """Drop the outcomes of calls before a moment, and count them."""
        old = REQUEST.c.create_time_us < microseconds(before)
        with self._database.transaction() as connection:
            return connection.execute(REQUEST.delete().where(old)).rowcount


def keep_outcome(writing: Writing, tenant: str, method: str, request_id: str, outcome: str) -> str:
    """Keep within a change what a call came to; give what is kept: that of the first."""
    known = _find(writing.connection, tenant, method, request_id)
    if known is not None:
        return known
    writing.connection.execute(
        REQUEST.insert().values(
            tenant=tenant,
            method=method,
            request_id=request_id,
            outcome=outcome,
            create_time_us=microseconds(writing.now),
        )
    )
    return outcome


def was_made(connection: Connection, tenant: str, call: Call) -> bool:
    """Tell whether a call was made before.

    Raises:
        InvalidRequestError: When another call had its name.
    """
    known = _find(connection, tenant, call.method, call.request_id)
    if known is not None and known != call.wanted:
        raise InvalidRequestError(
            f"request_id {call.request_id!r} named another call before; use a new one",
            field="request_id",
        )
    return known is not None


def _find(connection: Connection, tenant: str, method: str, request_id: str) -> str | None:
    same = (REQUEST.c.tenant == tenant) & (REQUEST.c.method == method)
    same &= REQUEST.c.request_id == request_id
    return connection.execute(select(REQUEST.c.outcome).where(same)).scalar_one_or_none()
