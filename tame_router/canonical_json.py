"""One way to write a JSON value down, so that its digest is the same wherever it is made.

RFC 8785 for what we write: keys sorted, no space, UTF-8. Where a digest is to be made by
other programs too, the values hold no fractions: those are the one thing languages print
differently.
"""

import hashlib
import json
from typing import Any

_PLAIN = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
_WIDE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def ascii_line(value: Any) -> str:
    r"""Write a value in ASCII, other characters as `\uXXXX`; one line that any store can hold."""
    return _PLAIN.encode(value)


def canonical_bytes(value: Any) -> bytes:
    """Write a value in UTF-8, characters as they are.

    Half a surrogate pair, which is no character, is written as if it were one.
    """
    return _WIDE.encode(value).encode("utf-8", "surrogatepass")


def digest(value: Any) -> str:
    """Give the SHA-256 of a value's canonical bytes, hexadecimal."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def sha256_hex(data: bytes) -> str:
    """Give the SHA-256 of bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()
