"""What audit remembers of tenants."""

from typing import TYPE_CHECKING, Any

from tame_router.audit.store import AuditStore, recorded

if TYPE_CHECKING:
    from tame_router.store import Database


class TenantHistory:
    """Remembers tenants by their records.

    Args:
        database: Where the tables are, or are to be made.

    Raises:
        StoreUnavailableError: When the database cannot be used; from every method as well.
    """

    def __init__(self, database: "Database") -> None:
        AuditStore(database)  # makes the tables

    def knows(self, connection: Any, tenant: str) -> bool:
        """Tell whether answers to a tenant of this name, or its use, are still recorded."""
        return recorded(connection, tenant)
