"""Where the running service looks usage up: off the event loop, and only when asked."""

import asyncio
from datetime import date
from typing import TYPE_CHECKING

from tame_router.audit.usage import Usage
from tame_router.config import Settings

if TYPE_CHECKING:
    from tame_router.audit.store import AuditStore
    from tame_router.store import Database


class UsageDesk:
    """Tells what tenants have used.

    Args:
        settings: All settings: where the store is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database: Database | None = None
        self._store: AuditStore | None = None
        # Two that ask at once must not open the store twice.
        self._alone = asyncio.Lock()

    async def usage(self, tenant: str, since: date, until: date) -> list[Usage]:
        """Tell what a tenant has used, by day and expert, both days included.

        Raises:
            StoreUnavailableError: When the store cannot be used.
        """
        async with self._alone:
            return await asyncio.to_thread(self._read, tenant, since, until)

    async def close(self) -> None:
        """Close the store."""
        if self._database is not None:
            await asyncio.to_thread(self._database.close)

    def _read(self, tenant: str, since: date, until: date) -> list[Usage]:
        if self._store is None:
            from tame_router.audit.store import AuditStore
            from tame_router.store import Database

            self._database = Database(self._settings.store, self._settings.state_dir)
            self._store = AuditStore(self._database)
        return list(self._store.usage(tenant, since, until))
