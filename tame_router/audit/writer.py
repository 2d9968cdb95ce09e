"""The journal of a running router: takes records on the event loop, writes them in a thread.

The thread and the store begin with the first record: a router that answers nothing opens
no database. What waits in memory is what a `kill -9` can take: at most `flush_s` of records
and those of the commit under way.
"""

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tame_router.audit.chain import Head
from tame_router.audit.entry import SALT_BYTES, Entry
from tame_router.audit.record import AuditRecord, Texts
from tame_router.config_access import AuditSettings
from tame_router.errors import AuditUnavailableError, ConfigError, StoreUnavailableError
from tame_router.telemetry import log

if TYPE_CHECKING:
    from tame_router.audit.store import AuditStore

BATCH = 500
"""Records written in one transaction at the most."""

RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Pauses before the store is tried again; the last one then stays."""

CLOSE_S = 10
"""How long `close` waits for a store that cannot be used."""


class Writer:
    """Takes records on one thread and writes them on another, in order.

    Args:
        open_store: Opens the store; called in the writer's thread, with the first record.
        settings: How long records wait, and how many may.
        facts: What the chain's opening record says of this router.
    """

    def __init__(
        self,
        open_store: Callable[[], "AuditStore"],
        settings: AuditSettings,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        self._open_store = open_store
        self._flush_s = settings.flush_s
        self._most = settings.queue_records
        self._facts = dict(facts or {})
        self._queue: deque[Entry] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._give_up_at = float("inf")
        self._thread: threading.Thread | None = None
        self._store: AuditStore | None = None
        self._head: Head | None = None
        self._failed = False

    @property
    def waiting(self) -> int:
        """Records taken and not yet written."""
        return len(self._queue)

    def require_room(self) -> None:
        """Make sure that a record of what is about to begin can be taken.

        Raises:
            AuditUnavailableError: When too many wait already.
        """
        if len(self._queue) >= self._most:
            raise AuditUnavailableError(
                "what is answered cannot be recorded now, so nothing is answered;"
                " try again in a moment, the operator finds the reason in the log",
                retry_after_s=1,
            )

    def record(self, record: AuditRecord, texts: Texts | None = None) -> None:
        """Take a record. Never waits."""
        self._queue.append(Entry(record=record, texts=texts))
        if not self._wake.is_set():
            self._wake.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write what waits, and the closing record; at most `CLOSE_S` where the store fails."""
        self._give_up_at = time.monotonic() + CLOSE_S
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        if self._queue:
            log.event(logging.CRITICAL, "audit.lost", records=len(self._queue))

    def _work(self) -> None:
        while not (self._closing.is_set() and not self._queue):
            self._wake.wait()
            self._wake.clear()
            # Further records come with the first: one commit is for all of them.
            self._closing.wait(self._flush_s)
            while self._queue:
                if not self._persist(self._write_batch()):
                    return
        if self._head is not None and self._store is not None:
            store, head = self._store, self._head
            self._persist(lambda: store.end(head, datetime.now(UTC)))

    def _write_batch(self) -> Callable[[], None]:
        """Give what writes the next records; called again after a failure, it does the same."""
        entries = [self._queue[place] for place in range(min(BATCH, len(self._queue)))]
        salts = [secrets.token_bytes(SALT_BYTES) if entry.texts else b"" for entry in entries]

        def write() -> None:
            store, head = self._begun()
            self._head = store.append(head, entries, salts)
            for _ in entries:
                self._queue.popleft()

        return write

    def _begun(self) -> "tuple[AuditStore, Head]":
        """Open the store and begin the chain, where that is not done."""
        if self._store is None:
            self._store = self._open_store()
        if self._head is None:
            start = datetime.now(UTC)
            # The start first: chains are read in the order of their names.
            chain = f"{start:%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(4)}"
            self._head = self._store.begin(chain, start, self._facts)
        return self._store, self._head

    def _persist(self, write: Callable[[], None]) -> bool:
        """Write until it succeeds; False: given up, because the router has to stop."""
        attempt = 0
        while True:
            try:
                write()
            except Exception as error:  # nothing may end this thread but the router's stop
                self._report(error)
            else:
                if self._failed:
                    self._failed = False
                    log.event(logging.INFO, "audit.recovered", waiting=len(self._queue))
                return True
            if time.monotonic() > self._give_up_at:
                return False
            pause = RETRY_S[min(attempt, len(RETRY_S) - 1)]
            attempt += 1
            if self._closing.is_set():
                time.sleep(RETRY_S[0])
            else:
                self._closing.wait(pause)

    def _report(self, error: Exception) -> None:
        """Say once that records cannot be written."""
        if self._failed:
            return
        self._failed = True
        told = isinstance(error, StoreUnavailableError | ConfigError)
        because = str(error) if told else f"{type(error).__name__}: {error}"
        log.event(logging.ERROR, "audit.failed", because=because, waiting=len(self._queue))
