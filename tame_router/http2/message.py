"""Messages of gRPC: a byte that says whether it is packed, four of its length, and itself."""

import struct
import zlib
from typing import Final

import grpc

_HEAD: Final = struct.Struct("!BI")
_GZIP: Final = 16 + zlib.MAX_WBITS
_SMALL_BYTES: Final = 1024
WINDOWS: Final = {"gzip": _GZIP, "deflate": zlib.MAX_WBITS}
"""How messages may be packed, as `zlib.decompressobj` is told it."""


class MessageFault(Exception):  # it is the caller's fault
    """A message cannot be read.

    Args:
        code: What the caller is told.
        why: In words.
    """

    def __init__(self, code: grpc.StatusCode, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class PackedMessage(bytes):
    """A message as it came, to be unpacked once it is read: unread it stays as small as it is."""


def packed(message: bytes) -> bytes:
    """Write a message, with its length before it."""
    return _HEAD.pack(0, len(message)) + message


class MessageReader:
    """Cuts the bytes of a stream into messages.

    Args:
        most_bytes: Longest message that is read, unpacked.
        encoding: How those are packed that say that they are.
    """

    __slots__ = ("_encoding", "_held", "_held_bytes", "_most_bytes")

    def __init__(self, most_bytes: int, encoding: str) -> None:
        self._most_bytes = most_bytes
        self._encoding = encoding
        self._held: list[bytes] = []
        self._held_bytes = 0

    @property
    def begun_bytes(self) -> int:
        """Bytes of a message that has begun and is not whole; 0: there is none."""
        return self._held_bytes

    def clear(self) -> None:
        """Forget them."""
        self._held, self._held_bytes = [], 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, and give the messages that are whole with them, some a `PackedMessage`.

        Raises:
            MessageFault: When one cannot be read.
        """
        self._held_bytes += len(data)
        if self._held and len(self._held[-1]) < _SMALL_BYTES:
            # Pieces of two bytes would take up thirty times what they hold.
            self._held[-1] += data
        else:
            self._held.append(data)
        first = self._held[0]
        if len(first) >= _HEAD.size and self._held_bytes < _HEAD.size + self._length(first, 0):
            return []
        if len(self._held) > 1:  # joined once a message is whole, not with each piece of it
            self._held = [b"".join(self._held)]
        return self._cut()

    def _cut(self) -> list[bytes]:
        data, at = self._held[0], 0
        messages = []
        while len(data) - at >= _HEAD.size:
            length = self._length(data, at)
            body = at + _HEAD.size
            if len(data) - body < length:
                break
            message = data[body : body + length]
            messages.append(PackedMessage(message) if data[at] else message)
            at = body + length
        self._held_bytes -= at
        if self._held_bytes:
            self._held = [data[at:]] if at else [data]
        else:
            self._held = []
        return messages

    def _length(self, data: bytes, at: int) -> int:
        """Read the length of the message that begins here."""
        flag, length = _HEAD.unpack_from(data, at)
        if flag > 1:
            raise MessageFault(grpc.StatusCode.INTERNAL, "a message that is none of gRPC")
        if length > self._most_bytes:
            raise self._too_long(length)
        return int(length)

    def unpacked(self, message: bytes) -> bytes:
        """Give what a message holds.

        Raises:
            MessageFault: When it cannot be unpacked, or is too long then.
        """
        if not isinstance(message, PackedMessage):
            return message
        window = WINDOWS.get(self._encoding)
        if window is None:
            raise MessageFault(
                grpc.StatusCode.UNIMPLEMENTED,
                f"messages packed by {self._encoding[:32]!r} are not read here; use gzip, deflate"
                " or none",
            )
        unpacker = zlib.decompressobj(window)
        try:
            unpacked = unpacker.decompress(message, self._most_bytes + 1)
        except zlib.error:
            unpacked = b""
        if len(unpacked) > self._most_bytes:
            raise self._too_long(len(unpacked))
        if not unpacker.eof:
            raise MessageFault(
                grpc.StatusCode.INTERNAL, f"a message that is not packed by {self._encoding}"
            )
        return unpacked

    def _too_long(self, length: int) -> MessageFault:
        return MessageFault(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"Received message larger than max ({length} vs. {self._most_bytes})",
        )
