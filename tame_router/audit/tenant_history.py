"""What audit remembers of tenants: what they did, and what was done to them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tame_router.audit.entry import CHANGES, changed
from tame_router.audit.store import AuditStore, extend, recorded
from tame_router.tenancy.history import Change

if TYPE_CHECKING:
    from tame_router.store import Database


def _now() -> datetime:
    return datetime.now(UTC)


class TenantHistory:
    """Remembers tenants by their records, and chains what is done to them.

    Args:
        database: Where the tables are, or are to be made.
        clock: Tells the time, UTC.

    Raises:
        StoreUnavailableError: When the database cannot be used; from every method as well.
    """

    def __init__(self, database: "Database", clock: Callable[[], datetime] = _now) -> None:
        AuditStore(database)  # makes the tables
        self._clock = clock

    def knows(self, connection: Any, tenant: str) -> bool:
        """Tell whether answers to a tenant of this name, or its use, are still recorded."""
        return recorded(connection, tenant)

    def add(self, connection: Any, change: Change) -> None:
        """Chain a change, in the transaction that it is kept in."""
        now = self._clock()
        extend(connection, CHANGES, [changed(change, now)], now)
