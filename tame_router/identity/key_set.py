"""An issuer's keys as they are now: fetched when needed, by one thread, never too often."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tame_router.identity.jwks_source import SourceError
from tame_router.identity.verifying_key import VerifyingKey, choose_key, read_keys
from tame_router.telemetry import log

RETRY_S = 10.0
"""Time between fetches, at least, whatever callers send: a made-up key id costs one at most."""

STALE_S = 3600.0
"""Time, beyond the setting's refresh, that keys count while their issuer cannot be reached."""


class KeySet:
    """Keeps an issuer's keys.

    Args:
        issuer: Its name, for the log.
        fetch: Gives the JWKS document; blocks; raises `SourceError`.
        refresh_s: Age from which the keys are fetched again.
        clock: Seconds on any steady clock.

    Attributes:
        version: Grows when the keys change.
    """

    def __init__(
        self,
        issuer: str,
        fetch: Callable[[], Mapping[str, Any]],
        refresh_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.version = 0
        self._issuer = issuer
        self._fetch = fetch
        self._refresh_s = refresh_s
        self._clock = clock
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="jwks")
        self._flight: asyncio.Future[tuple[VerifyingKey, ...]] | None = None
        self._keys: tuple[VerifyingKey, ...] = ()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None

    async def find(self, key_id: str | None, algorithm: str) -> VerifyingKey | None:
        """Give the key that a token names; None: there is none, or it cannot be had now.

        Args:
            key_id: The token's `kid`; None: it has none.
            algorithm: The token's `alg`.
        """
        age = self._age()
        if age > self._refresh_s:
            self._refresh()
        if age > self._refresh_s + STALE_S:
            await self._landing()
        found = choose_key(self._fresh(), key_id, algorithm)
        if found is None and key_id is not None:
            self._refresh()  # the issuer may have changed its keys a moment ago
            await self._landing()
            found = choose_key(self._fresh(), key_id, algorithm)
        return found

    def close(self) -> None:
        """Fetch nothing any more."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    def _fresh(self) -> tuple[VerifyingKey, ...]:
        return self._keys if self._age() <= self._refresh_s + STALE_S else ()

    def _refresh(self) -> None:
        """Begin to fetch, unless that is under way or was tried a moment ago."""
        now = self._clock()
        soon = self._tried_at is not None and now - self._tried_at < RETRY_S
        if self._flight or soon:
            return
        self._tried_at = now
        loop = asyncio.get_running_loop()
        self._flight = loop.run_in_executor(self._worker, self._fetched)
        self._flight.add_done_callback(self._landed)

    async def _landing(self) -> None:
        """Wait for the fetch that is under way; whoever gives up leaves it to the others."""
        if self._flight:
            await asyncio.wait((self._flight,))

    def _fetched(self) -> tuple[VerifyingKey, ...]:
        try:
            keys = read_keys(self._fetch())
        except ValueError as error:
            raise SourceError(f"not a JWKS document: {error}") from error
        if not keys:
            raise SourceError("no key in it can verify a signature")
        return keys

    def _landed(self, flight: "asyncio.Future[tuple[VerifyingKey, ...]]") -> None:
        self._flight = None
        if flight.cancelled():
            return
        error = flight.exception()
        if error:
            log.event(logging.WARNING, "jwks.unreachable", issuer=self._issuer, because=str(error))
            return
        self._fetched_at = self._clock()
        keys = flight.result()
        if _names(keys) != _names(self._keys):
            log.event(logging.INFO, "jwks.changed", issuer=self._issuer, keys=_names(keys))
        # Two keys may follow each other under one name, so every fetch counts as a change.
        self.version += 1
        self._keys = keys


def _names(keys: tuple[VerifyingKey, ...]) -> list[str]:
    return [key.key_id for key in keys]
