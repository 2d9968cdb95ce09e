"""Keeps a pool's replicas those that its source names."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from tame_router.backends.replicas.source import Source
from tame_router.errors import TameError
from tame_router.telemetry import log


class Members(Protocol):
    """Those that belong to a pool."""

    @property
    def addresses(self) -> Sequence[str]:
        """Their addresses."""

    def add(self, base_url: str) -> None:
        """Let one in."""

    def remove(self, base_url: str) -> None:
        """Let one go, once it has finished what it has."""


class Membership:
    """Looks at a source, now and then.

    Args:
        source: Names them.
        members: Are made to be those.
        backend: The backend's name, for the log.
        interval_s: Time between two looks.
    """

    def __init__(self, source: Source, members: Members, backend: str, interval_s: float) -> None:
        self._source = source
        self._members = members
        self._backend = backend
        self._interval_s = interval_s
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._failure = ""

    async def follow(self) -> None:
        """Look at it at the stated interval, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._interval_s)

    async def look(self, least_s: float = 0.0) -> None:
        """Look at it once; where it cannot be told, all stays as it was, and the log says why.

        Args:
            least_s: Time since the last look within which there is none.
        """
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        async with self._looking:
            if self._looked_at > asked_at - least_s:
                return
            try:
                named = await self._source.addresses()
            except TameError as error:
                self._failed(error)
            else:
                self._failure = ""
                self._become(named)
            finally:
                self._looked_at = loop.time()

    def _become(self, named: Sequence[str]) -> None:
        present = set(self._members.addresses)
        for address in named:
            if address not in present:
                self._members.add(address)
        for address in present.difference(named):
            self._members.remove(address)

    def _failed(self, error: TameError) -> None:
        """Say why, once for each reason."""
        if error.message == self._failure:
            return
        self._failure = error.message
        log.event(
            logging.WARNING,
            "replicas.unknown",
            backend=self._backend,
            replicas=len(self._members.addresses),
            because=error.message,
        )
