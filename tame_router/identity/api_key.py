"""The form of an API key: how one is made, read, digested and compared. No clock, no store.

    tame_k3v7qd2mxa5p_9bXz…43 letters and digits…Q4f0aB2
         └ key id      └ secret, 256 bits        └ checksum

The key id is no secret: it is in lists and records, and the key is looked up by it. The
checksum tells a truncated or mistyped key without a look-up, and before it is sent in
anger; it is made of the key alone, so that it says nothing about which keys there are.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass

PREFIX = "tame_"
"""Begins every key, so that secret scanners find one where it should not be."""

_ID_ALPHABET = string.ascii_lowercase + "234567"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH = 12
_SECRET_LENGTH = 43
"""Of 62 letters and digits: 256 bits."""
_CHECKSUM_LENGTH = 6
"""Of 62 letters and digits: holds the 32 bits of a CRC."""
_FORM = re.compile(
    rf"(tame_([{_ID_ALPHABET}]{{{_ID_LENGTH}}})_[0-9A-Za-z]{{{_SECRET_LENGTH}}})"
    rf"([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)

NO_DIGEST = bytes(32)
"""Stands for the digest of a key that is not known; nothing is known whose digest it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was just made: the one moment when it is known whole.

    Attributes:
        key: The whole key; shown once, kept nowhere.
        key_id: Its public part.
        digest: What is kept of it.
    """

    key: str
    key_id: str
    digest: bytes

    def __repr__(self) -> str:
        """Tell which key it is, and not the key."""
        return f"NewKey(key_id={self.key_id!r})"


def make() -> NewKey:
    """Make a key from the operating system's randomness."""
    key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    body = f"{PREFIX}{key_id}_{secret}"
    key = body + _checksum(body)
    return NewKey(key=key, key_id=key_id, digest=digest(key))


def parse(key: str) -> str | None:
    """Give the id of a key that is well formed; None: it is not, or a part of it is wrong."""
    found = _FORM.fullmatch(key)
    if found is None or _checksum(found[1]) != found[3]:
        return None
    return found[2]


def named(key: str) -> str | None:
    """Give the id that a key names; None: it has not the form of one.

    A part of it may be wrong, as `parse` would tell: enough for a look-up, since the digest
    that a key is compared by covers the checksum too.
    """
    found = _FORM.fullmatch(key)
    return found[2] if found else None


def digest(key: str) -> bytes:
    """Give what is kept of a key: the SHA-256 of the whole of it, 32 bytes.

    A slow hash such as Argon2 makes guessing passwords dear, of which people choose few.
    These secrets are 256 random bits: nobody can try a noticeable part of them at any
    speed, so a slow hash would cost every call milliseconds and protect nothing.
    """
    return hashlib.sha256(key.encode()).digest()


def matches(key: str, kept: bytes | None) -> bool:
    """Tell whether a key is the one whose digest was kept, in the same time for all keys.

    Args:
        key: The key that a caller sent.
        kept: What is kept under its id; None: nothing is, and the work is done all the same.
    """
    same = hmac.compare_digest(digest(key), NO_DIGEST if kept is None else kept)
    return same and kept is not None


def _checksum(body: str) -> str:
    rest = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
