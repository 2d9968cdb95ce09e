"""Header blocks: HPACK as it comes, and as little of it as there is to write.

What is written names no table: literals, neither indexed nor packed, can be made ahead and put
together.

What comes is decoded with the table and the Huffman code of a library, and not by its decoder: that
takes a tenth of a millisecond of a call, for a slice, an object and a line of a log of each field.

Source: https://www.rfc-editor.org/rfc/rfc7541
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import hpack
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

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

MOST_BLOCK_BYTES: Final = 2**16
"""Bytes of one header block, packed or unpacked; beyond it the connection ends."""

FIELD_BYTES: Final = 32
"""What a field counts beside its name and value. Source: section 4.1."""

REMEMBERED_BYTES: Final = 2**12
"""Most that a block may count that is remembered: each connection remembers one."""

_SHORT: Final = 127
_SEVEN_BITS: Final = 0x7F
_MORE: Final = 0x80
_PRIORITY_BYTES: Final = 5
_SHIFTS: Final = (0, 7, 14, 21, 28)
"""Of the bytes of a number behind the one that it begins in; more, and somebody plays."""

_INDEXED: Final = 0x80
_KEPT: Final = 0x40
_RESIZE: Final = 0x20
_PACKED: Final = 0x80

Headers = list[tuple[bytes, bytes]]


class HeaderDecoder:
    """Decodes the blocks of one connection, in their order.

    A block that leaves the table as it is means the same when it comes again right away: the
    latest such one, where it is short, is not read twice. Many clients send it with each call.

    Args:
        most_bytes: Most that the fields of one block may count together.
    """

    __slots__ = ("_block", "_found", "_most_bytes", "_most_table_bytes", "_table")

    def __init__(self, most_bytes: int) -> None:
        self._table = HeaderTable()
        self._most_table_bytes = self._table.maxsize
        self._most_bytes = most_bytes
        self._block = b""
        self._found: Headers = []

    def decode(self, block: bytes) -> Headers:
        """Give the fields of a block; the same list, which nobody changes, for the same block.

        Raises:
            hpack.OversizedHeaderListError: When they count too much.
            hpack.HPACKError: When it cannot be read; this too leaves nothing to go on with.
            IndexError: Likewise: it is cut in the middle.
        """
        if block == self._block:
            return self._found
        self._block, self._found = b"", []
        found: Headers = []
        at = size = changed = 0
        while at < len(block):
            first = block[at]
            if first & _INDEXED:
                index, at = _number(block, at, _SHORT)
                field = self._table.get_by_index(index)
            elif first & _KEPT or not first & _RESIZE:
                field, at = self._literal(block, at, first & _KEPT)
                changed |= first & _KEPT
            else:
                at = self._resize(block, at, begun=bool(found))
                changed = True
                continue
            found.append(field)
            size += FIELD_BYTES + len(field[0]) + len(field[1])
            if size > self._most_bytes:
                raise hpack.OversizedHeaderListError(f"more than {self._most_bytes} bytes")
        if not changed and size <= REMEMBERED_BYTES:
            self._block, self._found = block, found
        return found

    def _literal(self, block: bytes, at: int, kept: int) -> tuple[tuple[bytes, bytes], int]:
        """Read a field that is written out, and give where the block goes on."""
        index, at = _number(block, at, 0x3F if kept else 0x0F)
        if index:
            name = self._table.get_by_index(index)[0]
        else:
            name, at = _text(block, at)
        value, at = _text(block, at)
        if kept:
            self._table.add(name, value)
        return (name, value), at

    def _resize(self, block: bytes, at: int, *, begun: bool) -> int:
        """Give the table another size, and give where the block goes on."""
        size, at = _number(block, at, 0x1F)
        if begun or size > self._most_table_bytes:
            raise hpack.InvalidTableSizeError("a size that is too large, or comes too late")
        self._table.maxsize = size
        return at


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


def _number(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """Read a number, and give where the block goes on. Source: section 5.1."""
    number = block[at] & mask
    at += 1
    if number < mask:
        return number, at
    for shift in _SHIFTS:
        byte = block[at]
        at += 1
        number += (byte & _SEVEN_BITS) << shift
        if byte < _MORE:
            return number, at
    raise hpack.HPACKDecodingError("a number that is too long")


def _text(block: bytes, at: int) -> tuple[bytes, int]:
    """Read a name or a value, and give where the block goes on. Source: section 5.2."""
    packed, length = block[at] & _PACKED, block[at] & _SHORT
    if length < _SHORT:  # as nearly always
        at += 1
    else:
        length, at = _number(block, at, _SHORT)
    text = block[at : at + length]
    if len(text) < length:
        raise hpack.HPACKDecodingError("a text that is cut")
    return decode_huffman(text) if packed else text, at + length
