"""The messages of one request, between the socket and who reads them."""

import asyncio
from collections import deque

from tame_router.http2.message import MessageReader


class Inbox:
    """Holds messages until they are read.

    Args:
        most_bytes: Longest message.
        encoding: How those are packed that say that they are.

    Attributes:
        complete: Nothing follows.
    """

    __slots__ = ("_messages", "_reader", "_waiter", "complete")

    def __init__(self, most_bytes: int, encoding: str) -> None:
        self._reader = MessageReader(most_bytes, encoding)
        self._messages: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.complete = False

    def __bool__(self) -> bool:
        """Tell whether there is a message to read."""
        return bool(self._messages)

    def feed(self, data: bytes) -> None:
        """Take bytes.

        Raises:
            MessageFault: When a message cannot be read.
        """
        messages = self._reader.feed(data)
        if messages:
            self._messages.extend(messages)
            self._tell()

    def end(self) -> bool:
        """Take note that nothing follows; give whether the last message is whole."""
        self.complete = True
        self._tell()
        return self._reader.whole

    async def next(self) -> bytes | None:
        """Give the next message, unpacked, and wait for it; None: there is none.

        Raises:
            MessageFault: When it cannot be unpacked.
        """
        while not self._messages:
            if self.complete:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._reader.unpacked(self._messages.popleft())

    def clear(self) -> None:
        """Forget what is held."""
        self._messages.clear()

    def _tell(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
