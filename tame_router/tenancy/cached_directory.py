"""What is known of tenants, kept in memory and read again in a thread of its own."""

import logging
import threading
import time
from typing import Protocol

from tame_router.config_access import TenantSettings
from tame_router.errors import StoreUnavailableError
from tame_router.telemetry import log
from tame_router.tenancy.snapshot import Snapshot


class Source(Protocol):
    """Where tenants are read from; waits."""

    def generation(self) -> int:
        """Give the number that grows with every change.

        Raises:
            StoreUnavailableError: When it cannot be read now.
        """

    def snapshot(self) -> Snapshot:
        """Give everything as it stands at one moment.

        Raises:
            StoreUnavailableError: When it cannot be read now.
        """


class CachedDirectory:
    """A directory that answers from memory, and refuses to when that is too old.

    Making one reads everything, and waits; so does `refresh`. Threads may share it.

    Args:
        source: Where tenants are read from.
        settings: When to read again, and what is too old.

    Raises:
        StoreUnavailableError: When nothing can be read at the start.
    """

    def __init__(self, source: Source, settings: TenantSettings) -> None:
        self._source = source
        self._refresh_s = settings.refresh_s
        self._stale_s = settings.stale_s
        self._reading = threading.Lock()
        self._closing = threading.Event()
        self._told_stale = False
        self._read_at = time.monotonic()
        self._snapshot = source.snapshot()
        self._thread = threading.Thread(target=self._keep_fresh, name="tenants", daemon=True)
        self._thread.start()

    def snapshot(self) -> Snapshot:
        """Give what is known now, without waiting.

        Raises:
            StoreUnavailableError: When what is known is too old to go by.
        """
        if time.monotonic() - self._read_at > self._stale_s:
            self._tell_stale()
            raise StoreUnavailableError(
                "it cannot be looked up now who may call; try again in a moment",
                retry_after_s=self._refresh_s,
            )
        return self._snapshot

    def refresh(self) -> None:
        """Read again what has changed, now; wait for it.

        Raises:
            StoreUnavailableError: When it cannot be read; what was known stays.
        """
        with self._reading:
            # What is read now is at least as new as this moment, however long it takes.
            begun = time.monotonic()
            if self._source.generation() != self._snapshot.generation:
                self._snapshot = self._source.snapshot()
            self._read_at = begun
            if self._told_stale:
                self._told_stale = False
                log.event(logging.INFO, "tenants.refreshed", generation=self._snapshot.generation)

    def close(self) -> None:
        """Stop reading; wait for what is under way."""
        self._closing.set()
        self._thread.join()

    def _keep_fresh(self) -> None:
        failed = ""
        while not self._closing.wait(self._refresh_s):
            try:
                self.refresh()
                failed = ""
            except StoreUnavailableError as error:
                if error.message != failed:
                    log.event(logging.WARNING, "tenants.unread", because=error.message)
                failed = error.message
            except Exception:
                # The thread must outlive whatever a driver may raise; what it knows grows stale.
                log.LOGGER.exception("tenants.crashed")
            if time.monotonic() - self._read_at > self._stale_s:
                self._tell_stale()

    def _tell_stale(self) -> None:
        """Say it once, until it is over."""
        if not self._told_stale:
            self._told_stale = True
            age_s = round(time.monotonic() - self._read_at, 1)
            log.event(logging.ERROR, "tenants.stale", age_s=age_s)
