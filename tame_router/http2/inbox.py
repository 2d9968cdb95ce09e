"""The messages of one request, between the socket and who reads them."""

import asyncio
from collections import deque
from collections.abc import Callable

import grpc

from tame_router.http2.arrivals import Arrivals
from tame_router.http2.message import MessageReader

End = Callable[[grpc.StatusCode, str], None]


class Inbox:
    """Holds messages until they are read.

    The rest of a message has to come in time, and the first one; not while there is one to be read
    before it, for then its caller may have no room to send it. Between two there is no hurry.

    Args:
        most_bytes: Longest message.
        encoding: How those are packed that say that they are.
        arrivals: Watches over what is to come.
        end: Ends the call.

    Attributes:
        complete: Nothing follows.
    """

    __slots__ = (
        "_arrivals",
        "_begun_bytes",
        "_end",
        "_messages",
        "_reader",
        "_untouched",
        "_waiter",
        "complete",
    )

    def __init__(self, most_bytes: int, encoding: str, arrivals: Arrivals, end: End) -> None:
        self._reader = MessageReader(most_bytes, encoding)
        self._messages: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._arrivals = arrivals
        self._end = end
        self._begun_bytes = 0
        self._untouched = True  # no message was whole yet
        self.complete = False
        arrivals.expect(self)

    def __bool__(self) -> bool:
        """Tell whether there is a message to read."""
        return bool(self._messages)

    def feed(self, data: bytes) -> None:
        """Take bytes.

        Raises:
            MessageFault: When a message cannot be read, or too much has begun.
        """
        messages = self._reader.feed(data)
        if messages:
            self._messages.extend(messages)
            self._untouched = False
            self._arrivals.arrived(self)
            self._tell()
        begun = self._reader.begun_bytes
        if begun != self._begun_bytes:
            change, self._begun_bytes = begun - self._begun_bytes, begun
            self._expect_rest()
            self._arrivals.hold(change)

    def end(self) -> bool:
        """Take note that nothing follows; give whether the last message is whole."""
        self.complete = True
        self._arrivals.arrived(self)
        self._tell()
        return self._reader.begun_bytes == 0

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
        message = self._messages.popleft()
        self._expect_rest()
        return self._reader.unpacked(message)

    def clear(self) -> None:
        """Forget what is held: the call is over."""
        self._messages.clear()
        self._reader.clear()
        self._arrivals.arrived(self)
        if self._begun_bytes:
            self._arrivals.hold(-self._begun_bytes)
            self._begun_bytes = 0
        self._end = _over

    def give_up(self) -> None:
        """End the call: a message did not come in time."""
        self._end(
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "a message of the request did not arrive in the time it may take; send it faster",
        )

    def refuse(self) -> None:
        """End the call if no message of it was whole: the service is stopping."""
        if self._untouched:
            self._end(grpc.StatusCode.UNAVAILABLE, "the service is stopping")

    def _expect_rest(self) -> None:
        if self._begun_bytes and not self._messages and not self.complete:
            self._arrivals.expect(self)

    def _tell(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _over(_: grpc.StatusCode, why: str) -> None:
    """End nothing: that would keep a call that is over."""
