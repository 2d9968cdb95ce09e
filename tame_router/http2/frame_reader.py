"""Cuts what arrives into frames; long frames of data are handed on as they come."""

from typing import Final, Protocol

from tame_router.http2.frame import (
    DATA,
    END_STREAM,
    HEAD,
    HEAD_BYTES,
    MOST_STREAM,
    PADDED,
    PREFACE,
    ConnectionFault,
    ErrorCode,
)

DATA_BYTES: Final = 2**20
"""Longest frame of data that is read: in frames of the usual 16 KiB uploads cost who sends them
much more."""

OTHER_BYTES: Final = 2**15
"""Longest frame of another kind."""


class FrameTaker(Protocol):
    """Who takes frames."""

    def take_data(self, number: int, flags: int, payload: bytes) -> None:
        """Take data of a stream: a frame, or a piece of one; the last piece has its flags."""

    def take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Take a frame of another kind."""


class FrameReader:
    """Reads one connection.

    Args:
        taker: Takes the frames.

    Attributes:
        greeted: The peer has said that it speaks HTTP/2.
        stopped: Nothing more is to be taken.
    """

    __slots__ = ("_data", "_held", "_taker", "greeted", "stopped")

    def __init__(self, taker: FrameTaker) -> None:
        self._taker = taker
        self._held = b""
        self._data: tuple[int, int, int] | None = None  # of a long frame: stream, flags, left
        self.greeted = self.stopped = False

    def feed(self, data: bytes) -> None:
        """Take what one read brought.

        Raises:
            ConnectionFault: When it is no HTTP/2, or a frame is too long; and as the taker does.
        """
        if self._data is not None:
            data = self._go_on(*self._data, data)
        if self._held:
            data = self._held + data
            self._held = b""
        at = 0
        if not self.greeted:
            if not self._greet(data):
                return
            at = len(PREFACE)
        while len(data) - at >= HEAD_BYTES and not self.stopped:
            read = self._read(data, at)
            if not read:
                break
            at += read
        self._held = data[at:]

    def _greet(self, data: bytes) -> bool:
        """Look at how the peer begins; False: more must come first."""
        if not PREFACE.startswith(data[: len(PREFACE)]):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "this port speaks gRPC over HTTP/2")
        self.greeted = len(data) >= len(PREFACE)
        if not self.greeted:
            self._held = data
        return self.greeted

    def _read(self, data: bytes, at: int) -> int:
        """Read a frame, and give how many bytes that took; 0: it is not whole."""
        head: tuple[int, int, int, int, int] = HEAD.unpack_from(data, at)
        high, low, kind, flags, number = head
        length, number = high << 8 | low, number & MOST_STREAM
        if length > (DATA_BYTES if kind == DATA else OTHER_BYTES):
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a frame is too long")
        body = at + HEAD_BYTES
        if len(data) - body >= length:
            payload = data[body : body + length]
            if kind == DATA:
                self._taker.take_data(number, flags, payload)
            else:
                self._taker.take(kind, flags, number, payload)
            return HEAD_BYTES + length
        if kind != DATA or flags & PADDED or len(data) == body:
            return 0
        self._data = (number, flags, length)
        self._go_on(number, flags, length, data[body:])
        return len(data) - at

    def _go_on(self, number: int, flags: int, left: int, data: bytes) -> bytes:
        """Take more of a long frame of data, and give what follows it."""
        piece = data[:left] if len(data) > left else data
        left -= len(piece)
        self._data = (number, flags, left) if left else None
        self._taker.take_data(number, flags & ~END_STREAM if left else flags, piece)
        return data[len(piece) :]
