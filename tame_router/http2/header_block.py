"""Header blocks: HPACK as it comes, and as little of it as there is to write.

What is written names no table: literals, neither indexed nor packed, can be made ahead and put
together.

Source: https://www.rfc-editor.org/rfc/rfc7541
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import hpack

from tame_router.http2.frame import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PRIORITIZED,
    ConnectionFault,
    ErrorCode,
    frame,
    head,
    unpadded,
)
from tame_router.http2.header_decoder import HeaderDecoder, Headers

MOST_BLOCK_BYTES: Final = 2**16
"""Bytes of one header block, packed or unpacked; beyond it the connection ends."""

_SHORT: Final = 127
_SEVEN_BITS: Final = 0x7F
_MORE: Final = 0x80
_PRIORITY_BYTES: Final = 5


class HeaderReader:
    """Reads the header blocks of one connection, in their order.

    Attributes:
        open: Stream and flags of a block that is begun and not ended; None: there is none.
    """

    __slots__ = ("_content", "_decoder", "open")

    def __init__(self) -> None:
        self._decoder = HeaderDecoder(MOST_BLOCK_BYTES)
        self._content = b""
        self.open: tuple[int, int] | None = None

    def begin(self, number: int, flags: int, payload: bytes) -> Headers | None:
        """Take a frame that begins a block; None: there is more of it to come.

        Raises:
            ConnectionFault: When the block cannot be read, or is too long: what follows it could
                not be read any more.
        """
        payload = unpadded(payload, flags)
        if flags & PRIORITIZED:
            payload = payload[_PRIORITY_BYTES:]
        return self._take(number, flags, payload)

    def go_on(self, number: int, flags: int, payload: bytes) -> Headers | None:
        """Take a frame that continues a block; None: there is more of it to come.

        Raises:
            ConnectionFault: As `begin` does, or there is nothing to continue.
        """
        if self.open is None or self.open[0] != number:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        return self._take(number, self.open[1] | flags & END_HEADERS, self._content + payload)

    def _take(self, number: int, flags: int, content: bytes) -> Headers | None:
        if len(content) > MOST_BLOCK_BYTES:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "headers are too long")
        if not flags & END_HEADERS:
            self.open, self._content = (number, flags), content
            return None
        self.open, self._content = None, b""
        return self._read(content)

    def _read(self, block: bytes) -> Headers:
        try:
            return self._decoder.decode(block)
        except hpack.OversizedHeaderListError as error:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "headers are too long") from error
        except (hpack.HPACKError, IndexError) as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, "headers are no HPACK") from error


def literal(name: bytes, value: bytes) -> bytes:
    """Write a header."""
    return b"\x00" + _string(name) + _string(value)


def block(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write headers."""
    return b"".join(literal(name, value) for name, value in headers)


def header_frames(stream: int, content: bytes, frame_bytes: int, *, ends: bool) -> bytes:
    """Write a header block in as many frames as it takes.

    Args:
        stream: Whose it is.
        content: The block.
        frame_bytes: The longest frame that the peer reads.
        ends: Nothing follows on the stream.
    """
    flags = END_STREAM if ends else 0
    if len(content) <= frame_bytes:
        return head(HEADERS, flags | END_HEADERS, stream, len(content)) + content
    pieces = [content[at : at + frame_bytes] for at in range(0, len(content), frame_bytes)]
    written = [frame(HEADERS, flags, stream, pieces[0])]
    written += [frame(CONTINUATION, 0, stream, piece) for piece in pieces[1:-1]]
    written.append(frame(CONTINUATION, END_HEADERS, stream, pieces[-1]))
    return b"".join(written)


@lru_cache(maxsize=256)
def _short_string(text: bytes) -> bytes:
    return bytes((len(text),)) + text


def _string(text: bytes) -> bytes:
    if len(text) < _SHORT:
        return _short_string(text) if len(text) < _SHORT // 4 else bytes((len(text),)) + text
    left = len(text) - _SHORT
    length = bytearray((_SHORT,))
    while left > _SEVEN_BITS:
        length.append(left & _SEVEN_BITS | _MORE)
        left >>= 7
    length.append(left)
    return bytes(length) + text
