"""Files read in pieces, and digested."""

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

PIECE_BYTES = 2**20
"""Read at a time."""


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """Give the rest of a file in pieces, none of them empty."""
    while piece := file.read(PIECE_BYTES):
        yield piece


def sha256_of(file: BinaryIO) -> str:
    """Digest the rest of a file: 64 hexadecimal characters."""
    digest = hashlib.sha256()
    for piece in pieces(file):
        digest.update(piece)
    return digest.hexdigest()
