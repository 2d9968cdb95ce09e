"""Where the running service looks usage and records up: off the event loop, when asked."""

import asyncio
import logging
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from tame_router.audit.lookup import Kept, Place, Wanted
from tame_router.audit.usage import Usage
from tame_router.config import Settings
from tame_router.errors import StoreUnavailableError
from tame_router.telemetry import log

if TYPE_CHECKING:
    from tame_router.audit.archive import Archive
    from tame_router.audit.store import AuditStore
    from tame_router.store import Database


T = TypeVar("T")


class UsageDesk:
    """Tells what tenants have used, and of which answers.

    Args:
        settings: All settings: where the store is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database: Database | None = None
        self._store: AuditStore | None = None
        self._archive: Archive | None = None
        # Two that ask at once must not open the store twice.
        self._alone = asyncio.Lock()

    async def usage(self, tenant: str, since: date, until: date) -> list[Usage]:
        """Tell what a tenant has used, by day and expert, both days included.

        Raises:
            StoreUnavailableError: When the store cannot be used.
        """
        return await self._ask(lambda: self._read(tenant, since, until))

    async def records(self, wanted: Wanted, after: Place | None, most: int) -> list[Kept]:
        """Give records of answers, the oldest first.

        Args:
            wanted: Which.
            after: Those behind this place; None: from the first.
            most: How many at the most.

        Raises:
            StoreUnavailableError: When the store cannot be used.
        """
        return await self._ask(lambda: self._page(wanted, after, most))

    async def close(self) -> None:
        """Close the store."""
        if self._database is not None:
            await asyncio.to_thread(self._database.close)

    async def _ask(self, work: Callable[[], list[T]]) -> list[T]:
        try:
            async with self._alone:
                return await asyncio.to_thread(work)
        except StoreUnavailableError as error:
            # What the database said is for the operator, not for a tenant.
            log.event(logging.ERROR, "store.failed", because=error.message)
            raise StoreUnavailableError(
                "use and records cannot be read now; the operator finds the reason in the log",
                retry_after_s=error.retry_after_s,
            ) from error

    def _read(self, tenant: str, since: date, until: date) -> list[Usage]:
        if self._store is None:
            from tame_router.audit.store import AuditStore

            self._store = AuditStore(self._open())
        return list(self._store.usage(tenant, since, until))

    def _page(self, wanted: Wanted, after: Place | None, most: int) -> list[Kept]:
        if self._archive is None:
            from tame_router.audit.archive import Archive

            self._archive = Archive(self._open())
        return self._archive.page(wanted, after, most)

    def _open(self) -> "Database":
        if self._database is None:
            from tame_router.store import Database

            self._database = Database(self._settings.store, self._settings.state_dir)
        return self._database
