"""Writes counts behind: gathered on the event loop, written by a thread, never waited for."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from tame_router.errors import StoreUnavailableError
from tame_router.telemetry import log

if TYPE_CHECKING:
    from tame_router.quota.counter_store import CounterStore, Key
    from tame_router.store import Database

FLUSH_S = 0.5
"""Longest time a count waits before it is written; a process that is killed loses these."""

PRUNE_S = 3_600.0
"""Time after which counts that are too old are dropped again, in seconds."""


class Keeper:
    """Keeps counts in the store. Use it on one event loop, and close it.

    The database's library is loaded, and the database asked, by the first `load`.

    Args:
        open_database: Gives the database, from a thread.
    """

    def __init__(self, open_database: "Callable[[], Database]") -> None:
        self._open_database = open_database
        self._database: Database | None = None
        self._store: CounterStore | None = None
        self._changes: dict[Key, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._pruned = 0.0
        self._failing = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="quota")

    async def load(self) -> Iterable[tuple[str, str, int, int]]:
        """Give what was counted before: tenant, limit, step, amount.

        Raises:
            StoreUnavailableError: When the store cannot be used; the log says why.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._load)
        except StoreUnavailableError as error:
            log.event(logging.ERROR, "store.failed", because=error.message)
            raise StoreUnavailableError(
                "what this tenant has used cannot be read now, so nothing is answered;"
                " the operator finds the reason in the log",
                retry_after_s=error.retry_after_s,
            ) from error

    def note(self, tenant: str, name: str, step: int, amount: int) -> None:
        """Take note of a change; it is written within `FLUSH_S`, or at `close`."""
        key = (tenant, name, step)
        self._changes[key] = self._changes.get(key, 0) + amount
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    async def close(self) -> None:
        """Write what waits, and close the store."""
        loop = asyncio.get_running_loop()
        # First what is under way: where it fails, it waits again.
        await loop.run_in_executor(self._thread, lambda: None)
        await asyncio.sleep(0)
        if self._timer is not None:
            self._timer.cancel()
        await loop.run_in_executor(self._thread, self._close, self._changes)
        self._thread.shutdown(wait=False)

    def _flush(self) -> None:
        changes, self._changes, self._timer = self._changes, {}, None
        loop = asyncio.get_running_loop()
        written = self._thread.submit(self._add, changes)

        def told(future: "Future[None]") -> None:
            loop.call_soon_threadsafe(self._written, changes, future.exception())

        written.add_done_callback(told)

    def _written(self, changes: "dict[Key, int]", error: BaseException | None) -> None:
        if error is None:
            if self._failing:
                log.event(logging.INFO, "quota.saved")
            self._failing = False
            return
        if not self._failing:
            log.event(logging.ERROR, "quota.unsaved", because=str(error))
        self._failing = True
        for key, amount in changes.items():
            self.note(*key, amount)

    def _load(self) -> Iterable[tuple[str, str, int, int]]:
        from tame_router.quota.counter_store import CounterStore

        self._database = self._database or self._open_database()
        self._store = self._store or CounterStore(self._database)
        self._pruned = time.monotonic()
        return self._store.load(time.time())

    def _add(self, changes: "dict[Key, int]") -> None:
        if self._store is None:
            raise StoreUnavailableError("the store has not been opened")
        if time.monotonic() - self._pruned > PRUNE_S:
            self._load()
        self._store.add(changes)

    def _close(self, changes: "dict[Key, int]") -> None:
        try:
            if changes:
                self._add(changes)
        except StoreUnavailableError as error:
            log.event(logging.ERROR, "quota.unsaved", because=str(error))
        finally:
            if self._database is not None:
                self._database.close()
