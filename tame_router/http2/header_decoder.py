"""Decodes header blocks: HPACK, with the table and the Huffman code of a library.

The library's own decoder takes a tenth of a millisecond of a call: a slice, an object and a line
of a log for each field. What a client sends with each call is nearly always the same.

Source: https://www.rfc-editor.org/rfc/rfc7541
"""

from typing import Final

import hpack
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

Headers = list[tuple[bytes, bytes]]

FIELD_BYTES: Final = 32
"""What a field counts beside its name and value. Source: section 4.1."""

_INDEXED: Final = 0x80
_KEPT: Final = 0x40
_RESIZE: Final = 0x20
_PACKED: Final = 0x80
_CONTINUED: Final = 0x80
_SHIFTS: Final = (0, 7, 14, 21, 28)
"""Of the bytes of a number behind the one that it begins in; more, and somebody plays."""


class HeaderDecoder:
    """Decodes the blocks of one connection, in their order.

    A block that leaves the table as it is means the same when it comes again right away: the
    latest such one is not read twice.

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
                index, at = _number(block, at, 0x7F)
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
        if not changed:
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


def _number(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """Read a number, and give where the block goes on. Source: section 5.1."""
    number = block[at] & mask
    at += 1
    if number < mask:
        return number, at
    for shift in _SHIFTS:
        byte = block[at]
        at += 1
        number += (byte & ~_CONTINUED) << shift
        if byte < _CONTINUED:
            return number, at
    raise hpack.HPACKDecodingError("a number that is too long")


def _text(block: bytes, at: int) -> tuple[bytes, int]:
    """Read a name or a value, and give where the block goes on. Source: section 5.2."""
    packed = block[at] & _PACKED
    length, at = _number(block, at, 0x7F)
    text = block[at : at + length]
    if len(text) < length:
        raise hpack.HPACKDecodingError("a text that is cut")
    return decode_huffman(text) if packed else text, at + length
