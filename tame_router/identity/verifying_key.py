"""The public keys of an issuer that tokens may be verified with. No clock, no network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jwt import PyJWTError
from jwt.algorithms import AllowedPublicKeys, ECAlgorithm, OKPAlgorithm, RSAAlgorithm

MIN_RSA_BITS = 2048
"""Source: https://www.rfc-editor.org/rfc/rfc7518#section-3.3"""

_READERS: Mapping[str, Any] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}
_FITTING = {
    "RSA": frozenset(("RS256", "RS384", "RS512", "PS256")),
    "P-256": frozenset(("ES256",)),
    "P-384": frozenset(("ES384",)),
    "Ed25519": frozenset(("EdDSA",)),
    "Ed448": frozenset(("EdDSA",)),
}
"""Which signatures a kind of key may make; symmetric keys are not among them, on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyingKey:
    """A public key.

    Attributes:
        key_id: Its `kid`; empty: it has none.
        algorithms: Signatures that it may have made.
        key: For PyJWT.
    """

    key_id: str
    algorithms: frozenset[str]
    key: AllowedPublicKeys


def read_keys(document: Mapping[str, Any]) -> tuple[VerifyingKey, ...]:
    """Read a JWKS document; keys that are not for verifying signatures are passed over.

    Source: https://www.rfc-editor.org/rfc/rfc7517#section-5

    Raises:
        ValueError: When it is no JWKS document.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise ValueError("there is no list `keys`")  # noqa: TRY004 - a document, not an argument
    found = (_read(entry) for entry in entries if isinstance(entry, dict))
    return tuple(key for key in found if key)


def choose_key(
    keys: tuple[VerifyingKey, ...], key_id: str | None, algorithm: str
) -> VerifyingKey | None:
    """Give the key that a token names; None: there is none.

    Args:
        keys: All there are.
        key_id: The token's `kid`; None: it has none, which will do where there is one key.
        algorithm: The token's `alg`.
    """
    if key_id is None and len(keys) > 1:
        return None
    named = (key for key in keys if key_id is None or key.key_id == key_id)
    return next((key for key in named if algorithm in key.algorithms), None)


def _read(entry: Mapping[str, Any]) -> VerifyingKey | None:
    kind = entry.get("kty")
    reader = _READERS.get(str(kind))
    fitting = _FITTING.get(str(entry.get("crv", kind)), frozenset())
    named = entry.get("alg")
    algorithms = fitting & {named} if named is not None else fitting
    # A key with its private part in public is anybody's.
    if reader is None or not algorithms or "d" in entry or entry.get("use", "sig") != "sig":
        return None
    try:
        key = reader.from_jwk(dict(entry))
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if kind == "RSA" and key.key_size < MIN_RSA_BITS:
        return None
    return VerifyingKey(key_id=str(entry.get("kid", "")), algorithms=algorithms, key=key)
