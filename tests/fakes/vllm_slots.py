"""The places of a fake vLLM: how many answers it writes at once, as `--max-num-seqs` says."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """So many answers are written at once; the others wait, the first that came first.

    Used by one event loop.

    Attributes:
        most: Answers at once; 0: as many as come.
        taken: Answers that are written now.
        waiting: Those that wait for it.
    """

    def __init__(self) -> None:
        self.most = 0
        self.taken = 0
        self.waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a place; wait for it first."""
        if self.most and self.taken >= self.most:
            await self._turn()
        else:
            self.taken += 1
        try:
            yield
        finally:
            self._pass_on()

    async def _turn(self) -> None:
        place = asyncio.get_running_loop().create_future()
        self.waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                self.waiting.remove(place)
            else:
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give the place to who is next, or back."""
        for place in self.waiting:
            if not place.done():
                self.waiting.remove(place)
                place.set_result(None)
                return
        self.taken -= 1
