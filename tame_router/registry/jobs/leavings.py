"""Publications that nobody looks after: taken back, so that they can be made again."""

import asyncio
import logging
from typing import Final

from tame_router.errors import ServiceError
from tame_router.registry.backoff import Backoff
from tame_router.registry.feed import Feed
from tame_router.registry.records.access import Records
from tame_router.telemetry import log

BECAUSE: Final = "nobody was publishing it any more; publish it again"


class Leavings:
    """Takes back publications that are left without a job.

    Each has one from before its revision is being published until after it is not any more, so
    there should be none. One that were there would be stuck: nothing can be done with what is
    being published.

    Args:
        records: The records.
        feed: Is told of changes.
        every_s: Time between two looks, seconds > 0.
    """

    def __init__(self, records: Records, feed: Feed, *, every_s: float) -> None:
        self._records = records
        self._feed = feed
        self._every_s = every_s

    async def look(self) -> None:
        """Take back what is left.

        Raises:
            ServiceError: When the records cannot be used.
        """
        if not await self._records.present():
            return
        for name in await self._records.ask(lambda store: store.take_back(BECAUSE)):
            log.event(logging.WARNING, "adapter.publication_left", revision=name, because=BECAUSE)
            self._feed.tell()

    async def run(self) -> None:
        """Look at once, then again and again, until cancelled."""
        backoff = Backoff(self._every_s)
        while True:
            wait_s = self._every_s
            try:
                await self.look()
            except ServiceError:  # the log says so already
                wait_s = backoff.failed()
            else:
                backoff.worked()
            await asyncio.sleep(wait_s)
