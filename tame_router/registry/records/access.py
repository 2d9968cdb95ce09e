"""The service's way to the registry's records: off the event loop, and not before it is needed."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tame_router.config import StoreSettings
from tame_router.errors import StoreUnavailableError
from tame_router.registry.observer import UNOBSERVED, Observer
from tame_router.registry.record import ROUTER, LabelChange
from tame_router.registry.unbroken import ended
from tame_router.telemetry import log

if TYPE_CHECKING:  # the database's library is loaded with it
    from tame_router.registry.records.ledger import Writing
    from tame_router.registry.records.record_store import RecordStore
    from tame_router.store import Database

T = TypeVar("T")

FILE = "tame.db"
"""The default database, as `store` names it; that module loads the library."""

TABLE = "adapter_revisions"
"""There once anything was recorded."""

BUSY_TIMEOUT_S = 5


class Records:
    """Reads and changes records. Use it on one event loop, and close it.

    Args:
        settings: Where the store is.
        state_dir: Folder of the default store.
        observer: Is told of changes that are kept.

    Attributes:
        changed: Called on the event loop after each change that is kept, whoever waits for it.
    """

    def __init__(
        self, settings: StoreSettings, state_dir: Path, observer: Observer = UNOBSERVED
    ) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._file = _sqlite_file(settings.url.get_secret_value(), state_dir)
        self._database: Database | None = None
        self._store: RecordStore | None = None
        self._since_s: float | None = None  # since when it cannot be used
        self._observer = observer
        self.changed: Callable[[], None] = lambda: None
        # Filled by the thread, told on the event loop: whoever counts has no lock.
        self._news: deque[Callable[[], None]] = deque()
        # One thread: what has to wait for a slow database waits here, and nothing else does.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="registry")

    async def present(self) -> bool:
        """Tell whether there may be records: a router without any loads no database for them."""
        if self._store is not None or self._file is None:
            return True
        return await self._off_loop(self._made)

    async def ask(self, work: "Callable[[RecordStore], T]") -> T:
        """Read or change records.

        Whoever is cancelled meanwhile leaves only once the work has ended, or was never begun:
        what it has changed is known then, and can be looked after.

        Args:
            work: What to do, in a thread.

        Raises:
            StoreUnavailableError: When the store cannot be used; the log says why.
            TameError: What the work raises.
        """
        try:
            done = await self._off_loop(lambda: work(self._open()))
        except StoreUnavailableError as error:
            self._say_away(error.message)
            raise StoreUnavailableError(
                "records of adapters cannot be read or changed now; the operator finds the reason"
                " in the log",
                retry_after_s=error.retry_after_s,
            ) from error
        except (OSError, ImportError) as error:  # no descriptor left to open its library with
            self._say_away(str(error))
            raise StoreUnavailableError(
                "records of adapters cannot be opened now; the operator finds the reason in the"
                " log",
                retry_after_s=1,
            ) from error
        else:
            self._say_back()
            return done
        finally:
            while self._news:
                self._news.popleft()()

    async def close(self) -> None:
        """Finish what is under way, and close the store."""
        await self._off_loop(self._close)
        self._thread.shutdown(wait=False)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        doing = self._thread.submit(work)
        done = asyncio.wrap_future(doing)
        try:
            await asyncio.wait({done})
        except asyncio.CancelledError:
            if not doing.cancel():  # it is being done: whoever left now would not know how it ends
                await ended(done)
            raise
        return done.result()

    def _open(self) -> "RecordStore":
        if self._store is None:
            from tame_router.registry.records.record_store import RecordStore
            from tame_router.store import Database

            self._database = self._database or Database(self._settings, self._state_dir)
            self._store = RecordStore(self._database, kept=self._note)
        return self._store

    def _say_away(self, because: str) -> None:
        """Say that records cannot be used: once, however many ask until they can."""
        if self._since_s is None:
            self._since_s = time.monotonic()
            log.event(logging.ERROR, "store.failed", because=because)

    def _say_back(self) -> None:
        """Say that records can be used again, where they could not."""
        if self._since_s is not None:
            away_s = round(time.monotonic() - self._since_s, 3)
            self._since_s = None
            log.event(logging.INFO, "store.recovered", away_s=away_s)

    def _note(self, kept: "Writing") -> None:
        """Keep in mind what is to be told of a change."""
        for state in kept.states:
            self._news.append(partial(self._observer.adapter_changed, state))
        self._news.extend(partial(self._tell_move, change) for change in kept.moves)
        self._news.append(lambda: self.changed())

    def _tell_move(self, change: LabelChange) -> None:
        """Tell of a move of a label that is kept, whoever asked for it and is still there."""
        label, actor = change.label, change.actor
        self._observer.adapter_label_moved(change.action, by_router=actor == ROUTER)
        log.event(
            logging.INFO,
            "adapter.label",
            action=change.action,
            expert=label.expert,
            live=label.live,
            canary=label.canary,
            canary_share=label.canary_share,
            mode=label.mode,
            generation=label.generation,
            tenant=actor.tenant,
            subject=actor.subject,
            peer=actor.peer,
        )

    def _made(self) -> bool:
        """Look into a database that is a file, without the library."""
        path = self._file
        if path is None or not path.exists():
            return path is None
        query = "SELECT 1 FROM sqlite_master WHERE name = ?"
        try:
            with contextlib.closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
                return connection.execute(query, (TABLE,)).fetchone() is not None
        except sqlite3.Error:
            return True  # whatever is wrong with it, opening it tells

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()


def _sqlite_file(url: str, state_dir: Path) -> Path | None:
    """Give the file of the database; None: it is on a server."""
    if not url:
        return state_dir / FILE
    driver, separator, path = url.partition(":///")
    path, _, _ = path.partition("?")
    return Path(path) if separator and driver.startswith("sqlite") else None
