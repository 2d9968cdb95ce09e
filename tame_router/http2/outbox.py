"""What leaves on a connection: all that is written in one turn of the loop, in one piece."""

import asyncio
from typing import Final

BUFFERED_BYTES: Final = 2**16
"""Bytes that are kept for the end of a turn at most."""

UNREAD_BYTES: Final = 2**22
"""Bytes that a peer may leave unread: data stops far earlier, and what has no window does not."""


class Outbox:
    """Writes to one transport.

    Attributes:
        closed: Nothing is written any more.
        sent: Pieces that have been written, but for those that `reply` wrote.
    """

    __slots__ = ("_bytes", "_loop", "_pieces", "_transport", "closed", "sent")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._pieces: list[bytes | memoryview] = []
        self._bytes = 0
        self.closed = False
        self.sent = 0

    def open(self, transport: asyncio.Transport) -> None:
        """Write to this one."""
        self._transport = transport

    def put(self, data: bytes | memoryview) -> None:
        """Write bytes, soon."""
        if self.closed:
            return
        if not self._pieces:
            self._loop.call_soon(self.flush)
        self._pieces.append(data)
        self._bytes += len(data)
        if self._bytes > BUFFERED_BYTES:
            self.flush()

    def reply(self, data: bytes) -> None:
        """Put what answers a frame that costs the peer nothing: it earns the peer nothing."""
        self.sent -= 1
        self.put(data)

    def flush(self) -> None:
        """Write what is kept, now."""
        pieces, self._pieces, self._bytes = self._pieces, [], 0
        if pieces and self._transport is not None and not self.closed:
            self.sent += len(pieces)
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            if self._transport.get_write_buffer_size() > UNREAD_BYTES:
                self.close(at_once=True)

    def close(self, *, at_once: bool = False) -> None:
        """Write what is kept, and close; at once: what the peer has not taken is lost."""
        self.flush()
        self.closed = True
        if self._transport is not None:
            if at_once:
                self._transport.abort()
            else:
                self._transport.close()

    def drop(self) -> None:
        """Take note that the transport is no more."""
        self.closed = True
        self._pieces.clear()
