"""Keys that receipts are signed and proved with: Ed25519, PEM."""

import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from tame_router.canonical_json import sha256_hex
from tame_router.durable_file import replace_file
from tame_router.errors import ConfigError, InvalidRequestError

MODE = 0o600
"""Permissions of a private key: its owner alone."""

KEY_ID_CHARS = 16
"""64 bits: enough to tell an operator's keys apart."""

_MAKE = "make one with `tame receipt key FILE`"


def make_key(path: Path) -> str:
    """Make a pair, put the private key into a new file, and give the public one as PEM.

    Raises:
        InvalidRequestError: When the file is there already, or cannot be written.
    """
    if path.exists():
        raise InvalidRequestError(f"{path}: is there already; a key is never overwritten")
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        replace_file(path, pem, mode=MODE)
    except OSError as error:
        raise InvalidRequestError(f"{path}: cannot be written: {error.strerror}") from error
    return public_pem(key.public_key())


def load_private(path: Path) -> Ed25519PrivateKey:
    """Read the key that receipts are signed with.

    Raises:
        ConfigError: When the file is not an Ed25519 private key in PEM without a password.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"receipts.key_file: {path}: {error.strerror}; {_MAKE}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(
            f"receipts.key_file: {path} is not a PEM private key without a password; {_MAKE}"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"receipts.key_file: {path} is not an Ed25519 key; {_MAKE}")
    return key


def open_to_others(path: Path) -> bool:
    """Tell whether others than its owner may read a file."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def load_public(path: Path) -> Ed25519PublicKey:
    """Read the key that receipts are proved with.

    Raises:
        InvalidRequestError: When the file is not an Ed25519 public key in PEM.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise InvalidRequestError(f"{path}: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidRequestError(
            f"{path}: is not an Ed25519 public key in PEM; take what `tame receipt key` printed"
        )
    return key


def public_pem(key: Ed25519PublicKey) -> str:
    """Give a public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key_id(key: Ed25519PublicKey) -> str:
    """Give the first 16 hexadecimal digits of the SHA-256 of the key's 32 bytes."""
    return sha256_hex(key.public_bytes(Encoding.Raw, PublicFormat.Raw))[:KEY_ID_CHARS]
