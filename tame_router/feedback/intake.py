"""The service's way to the store: in a thread of its own, and not before it is needed.

The database's library is loaded, and the file made, by the first feedback: a router
that gets none starts without either. An address that was set is tried at the start.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tame_router.config import StoreSettings
from tame_router.errors import StoreUnavailableError
from tame_router.feedback.feedback import Feedback
from tame_router.telemetry import log

if TYPE_CHECKING:
    from tame_router.feedback.store import FeedbackStore
    from tame_router.store import Database


class Intake:
    """Takes feedback in. Use it on one event loop, and close it.

    Args:
        settings: Where the store is.
        state_dir: Folder of the default store.

    Raises:
        ConfigError: When an address is set and cannot be used.
    """

    def __init__(self, settings: StoreSettings, state_dir: Path) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._database: Database | None = None
        self._store: FeedbackStore | None = None
        if settings.url.get_secret_value():
            self._database = self._open()
        # One thread: what has to wait for a slow database waits here, and nothing else does.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    async def add(self, feedback: Feedback) -> Feedback:
        """Keep feedback; give what was kept before under the same request id.

        Raises:
            StoreUnavailableError: When the store cannot be used; the log says why.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._add, feedback)
        except StoreUnavailableError as error:
            log.event(logging.ERROR, "store.failed", because=error.message)
            raise StoreUnavailableError(
                "feedback cannot be stored now; the operator finds the reason in the log",
                retry_after_s=error.retry_after_s,
            ) from error

    async def close(self) -> None:
        """Finish what is under way, and close the store."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _add(self, feedback: Feedback) -> Feedback:
        if self._store is None:
            from tame_router.feedback.store import FeedbackStore

            self._database = self._database or self._open()
            self._store = FeedbackStore(self._database)
        return self._store.add(feedback)

    def _open(self) -> "Database":
        from tame_router.store import Database

        return Database(self._settings, self._state_dir)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
