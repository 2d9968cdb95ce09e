"""Puts the journal of a router, and what is remembered of tenants, together."""

import platform
from typing import TYPE_CHECKING

from tame_router import __version__
from tame_router.audit.writer import Writer
from tame_router.config import Settings

if TYPE_CHECKING:
    from tame_router.audit.store import AuditStore
    from tame_router.audit.tenant_history import TenantHistory
    from tame_router.store import Database


def open_history(database: "Database") -> "TenantHistory":
    """Open what is remembered of tenants; the database's library is loaded with it.

    Args:
        database: The one that tenants are kept in.

    Raises:
        StoreUnavailableError: When the database cannot be used.
    """
    from tame_router.audit.tenant_history import TenantHistory

    return TenantHistory(database)


def build_journal(settings: Settings) -> Writer:
    """Build the journal; no database is opened before the first record.

    Args:
        settings: All settings: the journal needs the store's as well as its own.
    """

    def open_store() -> "AuditStore":
        from tame_router.audit.store import AuditStore
        from tame_router.store import Database

        return AuditStore(Database(settings.store, settings.state_dir))

    facts = {"version": __version__, "host": platform.node()}
    return Writer(open_store, settings.audit, facts)
