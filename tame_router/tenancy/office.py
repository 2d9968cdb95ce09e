"""The service's way to the tenants' store: off the event loop, and not before it is needed."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tame_router.config import StoreSettings
from tame_router.config_access import TenantSettings
from tame_router.errors import StoreUnavailableError
from tame_router.telemetry import log
from tame_router.tenancy.cached_directory import CachedDirectory
from tame_router.tenancy.history import History
from tame_router.tenancy.rules import Experts

if TYPE_CHECKING:
    from tame_router.store import Database
    from tame_router.tenancy.administration import Administration
    from tame_router.tenancy.store import TenantStore

T = TypeVar("T")


class Office:
    """Reads and changes tenants. Use it on one event loop, and close it.

    The database's library is loaded, and the file made, by the first who asks.

    Args:
        settings: Where the store is.
        state_dir: Folder of the default store.
        experts: Names the experts that there are.
        history: Opens what is remembered of tenants; None: nothing is.
    """

    def __init__(
        self,
        settings: StoreSettings,
        state_dir: Path,
        experts: Experts,
        history: "Callable[[Database], History] | None" = None,
    ) -> None:
        self._history = history
        self._settings = settings
        self._state_dir = state_dir
        self._experts = experts
        self._database: Database | None = None
        self._store: TenantStore | None = None
        self._directory: CachedDirectory | None = None
        # One thread: what has to wait for a slow database waits here, and nothing else does.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tenancy")

    async def open_directory(self, settings: TenantSettings) -> CachedDirectory:
        """Begin to keep what is known of tenants in memory; `close` ends it.

        Raises:
            ConfigError: When the store's address cannot be used.
            StoreUnavailableError: When the store cannot be read.
        """

        def read() -> CachedDirectory:
            return CachedDirectory(self._open(), settings)

        self._directory = await self._off_loop(read)
        return self._directory

    async def ask(self, by: str, work: "Callable[[Administration], T]") -> T:
        """Read or change tenants; this service goes by a change when this returns.

        Args:
            by: Who asks, for the log.
            work: What to do, in a thread.

        Raises:
            StoreUnavailableError: When the store cannot be used; the log says why.
            TameError: What the work raises.
        """

        def do() -> T:
            from tame_router.tenancy.administration import Administration

            done = work(Administration(self._open(), self._experts, by=by))
            self._show()
            return done

        try:
            return await self._off_loop(do)
        except StoreUnavailableError as error:
            log.event(logging.ERROR, "store.failed", because=error.message)
            raise StoreUnavailableError(
                "tenants cannot be read or changed now; the operator finds the reason in the log",
                retry_after_s=error.retry_after_s,
            ) from error

    async def close(self) -> None:
        """Finish what is under way, and close the store."""
        await self._off_loop(self._close)
        self._thread.shutdown(wait=False)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> "TenantStore":
        if self._store is None:
            from tame_router.store import Database
            from tame_router.tenancy.store import TenantStore

            self._database = self._database or Database(self._settings, self._state_dir)
            history = self._history(self._database) if self._history else None
            self._store = TenantStore(self._database, history)
        return self._store

    def _show(self) -> None:
        """Let a change be seen at once; where that fails it is kept, and seen with the next."""
        if self._directory is None:
            return
        try:
            self._directory.refresh()
        except StoreUnavailableError as error:
            log.event(logging.WARNING, "tenants.unread", because=error.message)

    def _close(self) -> None:
        if self._directory is not None:
            self._directory.close()
        if self._database is not None:
            self._database.close()
