"""A safetensors file while it comes in: its header read, its numbers measured, nothing kept."""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from tame_router.registry.advice import found
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tame_router.registry.validation.file_rules import WEIGHTS, shown
from tame_router.registry.validation.safetensors_header import (
    DTYPE_BYTES,
    LENGTH_BYTES,
    HeaderError,
    TensorEntry,
    header_bytes,
    read_header,
)
from tame_router.registry.validation.tensor_norm import sum_of_squares

MOST_NORM: Final = 10_000.0
"""Largest Frobenius norm of a tensor. Trained ones have 1 to 100; and no number can be larger
than the norm, so those below fit an F16 (65,504) whatever the engine computes in."""

_MOST_TOLD = 5
_SNIFFED_BYTES = 64
_ZIP = b"PK\x03\x04"
_ARCHIVES = (_ZIP, b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd", b"7z\xbc\xaf", b"Rar!")
_PICKLE_PROTOCOLS = range(1, 6)


class SafetensorsStream:
    """One file's bytes, in order.

    Attributes:
        entries: Its tensors in the order of their bytes; None: the header is not read yet, or
            cannot be.
        squares: Sum of squares of each tensor that has come whole, by its name.
        broken: The header cannot be read; further bytes are passed over.
    """

    def __init__(self, size_bytes: int) -> None:
        self.entries: tuple[TensorEntry, ...] | None = None
        self.squares: dict[str, float] = {}
        self.broken = False
        self._size_bytes = size_bytes
        self._head = bytearray()
        self._head_bytes: int | None = None
        self._index = 0
        self._at = 0
        self._square = 0.0
        self._carried = b""
        self._told = 0

    def feed(self, data: memoryview) -> list[Finding]:
        """Take the next bytes, and give what is wrong with them."""
        if self.broken:
            return []
        try:
            data = self._take_head(data)
        except HeaderError as error:
            self.broken = True
            return [self._sniffed() or error.finding]
        return [*self._measure(data)] if self.entries else []

    def _take_head(self, data: memoryview) -> memoryview:
        """Gather the header, read it when it is whole, and give the bytes behind it."""
        if self.entries is not None:
            return data
        if self._head_bytes is None:
            wanted = max(_SNIFFED_BYTES - len(self._head), 0)
            # The first bytes are kept for a look at what the file is when it is no header.
            self._head += data[:wanted]
            data = data[wanted:]
            if len(self._head) < min(_SNIFFED_BYTES, self._size_bytes):
                return data
            length = header_bytes(bytes(self._head[:LENGTH_BYTES]), self._size_bytes)
            self._head_bytes = LENGTH_BYTES + length
        missing = max(self._head_bytes - len(self._head), 0)
        self._head += data[:missing]
        data = data[missing:]
        if len(self._head) < self._head_bytes:
            return data
        header = bytes(self._head[LENGTH_BYTES : self._head_bytes])
        behind = bytes(self._head[self._head_bytes :])
        self.entries = read_header(header, self._size_bytes - self._head_bytes)
        self._head.clear()
        return memoryview(behind + bytes(data)) if behind else data

    def _sniffed(self) -> Finding | None:
        """Name what the file is instead, where its first bytes tell."""
        head = bytes(self._head[:_SNIFFED_BYTES])
        pickled = head[:1] == b"\x80" and head[1:2] and head[1] in _PICKLE_PROTOCOLS
        # A PyTorch file is a ZIP archive whose first member is a pickle.
        if pickled or (head.startswith(_ZIP) and b".pkl" in head):
            return found(Reason.PICKLE_REFUSED, f"{WEIGHTS} is a pickle by its bytes", WEIGHTS)
        if head.startswith(_ARCHIVES):
            return found(Reason.ARCHIVE_REFUSED, f"{WEIGHTS} is an archive by its bytes", WEIGHTS)
        return None

    def _measure(self, data: memoryview) -> Iterator[Finding]:
        """Walk over the tensors that the bytes belong to."""
        entries = self.entries or ()
        while data and self._index < len(entries):
            entry = entries[self._index]
            piece = data[: entry.end - self._at]
            data = data[len(piece) :]
            self._at += len(piece)
            self._square += self._squares_of(piece, entry.dtype)
            if self._at == entry.end:
                self.squares[entry.name] = self._square
                yield from self._judge(entry, self._square)
                self._index += 1
                self._square = 0.0

    def _squares_of(self, piece: memoryview, dtype: str) -> float:
        size = DTYPE_BYTES[dtype]
        total = 0.0
        if self._carried:
            missing = size - len(self._carried)
            self._carried += piece[:missing]
            piece = piece[missing:]
            if len(self._carried) < size:
                return 0.0
            total += sum_of_squares(np.frombuffer(self._carried, np.uint8), dtype)
            self._carried = b""
        whole = len(piece) - len(piece) % size
        self._carried = bytes(piece[whole:])
        return total + sum_of_squares(np.frombuffer(piece[:whole], np.uint8), dtype)

    def _judge(self, entry: TensorEntry, square: float) -> Iterator[Finding]:
        if square <= MOST_NORM**2 or self._told >= _MOST_TOLD:
            return
        self._told += 1
        name = shown(entry.name)
        if not math.isfinite(square):
            yield found(Reason.NOT_FINITE, f"{name} holds NaN or infinity", WEIGHTS)
            return
        message = f"{name} has the norm {math.sqrt(square):.4g}; at most {MOST_NORM:,.0f}"
        yield found(Reason.NORM_ABSURD, message, WEIGHTS)
