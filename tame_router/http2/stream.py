"""One stream of HTTP/2: a request in, a response out, within what both sides have room for."""

import asyncio
import struct
from typing import Final, Protocol

from tame_router.http2.credit import Credit
from tame_router.http2.frame import (
    DATA,
    HEAD_BYTES,
    ConnectionFault,
    ErrorCode,
    head,
    reset,
    window_update,
)
from tame_router.http2.header_block import header_frames

STREAM_WINDOW: Final = 4 * 2**20
"""Bytes of a request that may be under way, unread: 40 MB/s where an answer takes 100 ms."""


_HEADS: Final = struct.Struct("!HBBBIBI")
"""Head of a frame, as `frame.head` writes it, and of the one message of gRPC in it."""

_MESSAGE_HEAD_BYTES: Final = _HEADS.size - HEAD_BYTES


class Receiver(Protocol):
    """Who takes what comes on a stream."""

    def received(self, data: bytes) -> bool:
        """Take bytes; give whether the next may be sent already: there is nothing left to read."""

    def ended(self) -> None:
        """Take note that nothing follows."""

    def lost(self) -> None:
        """Take note that the peer has left, or the connection is no more."""


class Lines(Protocol):
    """What a stream asks of its connection.

    Attributes:
        window: Bytes that the peer takes of all streams.
        frame_bytes: Longest frame that it reads.
        crowded: What was written has not left yet.
    """

    window: int
    frame_bytes: int
    crowded: bool

    def put(self, data: bytes) -> None:
        """Write frames."""

    def wait(self, stream: "Stream") -> None:
        """Have the stream woken when there is room again."""

    def released(self, size: int) -> None:
        """Take note that so many bytes of a request were read."""

    def over(self, stream: "Stream") -> None:
        """Take note that both sides have ended a stream."""


class Stream:
    """A stream.

    Args:
        connection: Where it is.
        number: Its number.
        window: Bytes that the peer takes of it.

    Attributes:
        receiver: Takes what comes; set before anything can.
        wanted: Bytes for which it waits for room.
    """

    __slots__ = (
        "_credit",
        "_held",
        "_local_ended",
        "_lost",
        "_remote_ended",
        "_waiter",
        "connection",
        "number",
        "receiver",
        "wanted",
        "window",
    )

    def __init__(self, connection: Lines, number: int, window: int) -> None:
        self.connection = connection
        self.number = number
        self.window = window
        self.receiver: Receiver
        self.wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self._credit = Credit(STREAM_WINDOW, STREAM_WINDOW // 2)
        self._held = 0  # bytes that came and are not read yet
        self._remote_ended = self._local_ended = self._lost = False

    @property
    def over(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._local_ended or self._lost

    # Out.

    def send_headers(self, content: bytes, *, ends: bool = False) -> None:
        """Send a header block; nothing where the stream is over."""
        if self.over:
            return
        connection = self.connection
        connection.put(header_frames(self.number, content, connection.frame_bytes, ends=ends))
        if ends:
            self._end_local()

    def send_message(self, message: bytes) -> bool:
        """Send a message of gRPC; False: there is no room for all of it now, and none was sent.

        Made in one piece: an answer has five of them at least.
        """
        length, connection = len(message), self.connection
        size = length + _MESSAGE_HEAD_BYTES
        if (
            connection.crowded
            or size > self.window
            or size > connection.window
            or size > connection.frame_bytes
        ):
            return False
        self.window -= size
        connection.window -= size
        heads = _HEADS.pack(size >> 8, size & 0xFF, DATA, 0, self.number, 0, length)
        connection.put(heads + message)
        return True

    async def send(self, data: bytes) -> None:
        """Send bytes, and wait for room as long as it takes.

        A stream that is lost is said to its receiver, which ends the wait.
        """
        rest, connection = memoryview(data), self.connection
        while rest:
            size = min(len(rest), self.window, connection.window, connection.frame_bytes)
            if size <= 0 or connection.crowded:
                await self._room(len(rest))
                continue
            self.window -= size
            connection.window -= size
            connection.put(head(DATA, 0, self.number, size) + rest[:size])
            rest = rest[size:]

    def reset(self, code: ErrorCode) -> None:
        """End the stream at once."""
        if not self._lost:
            self.connection.put(reset(self.number, code))
            self._drop()

    def wake(self) -> None:
        """Let whoever waits for room look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _room(self, wanted: int) -> None:
        self.wanted = wanted
        self._waiter = asyncio.get_running_loop().create_future()
        self.connection.wait(self)
        try:
            await self._waiter
        finally:
            self._waiter, self.wanted = None, 0

    # In.

    def data(self, payload: bytes, size: int) -> None:
        """Take bytes of the request.

        Args:
            payload: The bytes.
            size: What they count against the window, padding with them.

        Raises:
            ConnectionFault: When the peer sends more than it may, or after its end.
        """
        if self._remote_ended:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "data after the end of its stream")
        self._credit.take(size)
        self._held += size
        if self.receiver.received(payload):
            self.read()

    def read(self) -> None:
        """Take note that all that came has been read."""
        held, self._held = self._held, 0
        if not held:
            return
        self.connection.released(held)
        more = self._credit.read(held)
        if more and not self._remote_ended and not self._lost:
            self.connection.put(window_update(self.number, more))

    def end(self) -> None:
        """Take note that the request is whole."""
        if self._remote_ended:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "a second end of its stream")
        self._remote_ended = True
        self.receiver.ended()
        if self._local_ended:
            self._drop()

    def lose(self) -> None:
        """Take note that the peer has ended it, or the connection is no more."""
        if not self._lost:
            self._drop()
            self.receiver.lost()

    def _end_local(self) -> None:
        self._local_ended = True
        if self._remote_ended:
            self._drop()
        else:  # it need not send the rest
            self.connection.put(reset(self.number, ErrorCode.NO_ERROR))
            self._drop()

    def _drop(self) -> None:
        self._lost = True
        held, self._held = self._held, 0
        if held:
            self.connection.released(held)
        self.connection.over(self)


class Waiting:
    """The streams of one connection that wait for room: woken in turn, no more than it holds."""

    __slots__ = ("_streams",)

    def __init__(self) -> None:
        self._streams: dict[Stream, None] = {}

    def add(self, stream: Stream) -> None:
        """Have a stream woken when there is room."""
        self._streams[stream] = None

    def drop(self, stream: Stream) -> None:
        """Forget a stream."""
        self._streams.pop(stream, None)

    def clear(self) -> None:
        """Forget all."""
        self._streams.clear()

    def wake(self, room: int) -> None:
        """Let streams look again.

        All of them for each byte that a peer makes room for would be work for nothing.

        Args:
            room: Bytes that they may send together.
        """
        for stream in list(self._streams) if room > 0 else ():
            if stream.window > 0:
                del self._streams[stream]
                stream.wake()
                room -= min(stream.window, stream.wanted)
                if room <= 0:
                    break
