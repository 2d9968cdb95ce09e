"""A receipt: a compact JWS over what an answer was made of, signed with Ed25519.

Source: RFC 7515 (JWS), RFC 8037 (EdDSA in JOSE).
"""

import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tame_router.audit.record import AuditRecord
from tame_router.errors import InvalidRequestError
from tame_router.receipt.key import key_id

TYPE = "tame-receipt+jwt"
ALGORITHM = "EdDSA"


class Ed25519Signer:
    """Signs receipts.

    Args:
        key: The private key.
        clock: Gives the time in seconds since 1970.
    """

    def __init__(self, key: Ed25519PrivateKey, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._headers = {"typ": TYPE, "kid": key_id(key.public_key())}
        self._clock = clock

    def sign(self, record: AuditRecord) -> str:
        """Give the receipt, a compact JWS."""
        claims = write_claims(record, int(self._clock()))
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers=self._headers)


def write_claims(record: AuditRecord, issued_at: int) -> dict[str, Any]:
    """Give what a receipt says.

    Args:
        record: What the answer was made of.
        issued_at: Seconds since 1970.
    """
    return {
        "iat": issued_at,
        "answer_id": record.answer_id,
        "tenant": record.tenant,
        "request_digest": record.request_digest,
        "answer_digest": record.answer_digest,
        "experts": [
            {"expert": name, "probability": round(probability, 6)}
            for name, probability in record.experts
        ],
        "reason": record.decision_reason,
        "join": record.join,
        "classifier_digest": record.classifier_digest,
        "policy_digest": record.policy_digest,
        "steps": [
            {
                "expert": step.expert,
                "revision": step.revision,
                "adapter_digest": step.adapter_digest,
                "prompt_tokens": step.prompt_tokens,
                "completion_tokens": step.completion_tokens,
                "finish_reason": step.finish_reason,
                "fallback": step.fallback,
            }
            for step in record.steps
        ],
    }


def read_receipt(receipt: str, key: Ed25519PublicKey) -> dict[str, Any]:
    """Prove a receipt, and give what it says.

    Raises:
        InvalidRequestError: When it is none, or was not signed with this key as it is.
    """
    try:
        header = jwt.get_unverified_header(receipt)
    except (jwt.InvalidTokenError, UnicodeError):
        raise InvalidRequestError(
            "not a receipt: expected three parts of base64url with dots between them, whole"
        ) from None
    if header.get("alg") != ALGORITHM:
        raise InvalidRequestError(
            f"the receipt claims to be signed by {header.get('alg')!r}; only {ALGORITHM!r} counts"
        )
    if header.get("typ") != TYPE:
        raise InvalidRequestError(f"not a receipt: its type is {header.get('typ')!r}")
    own = key_id(key)
    if header.get("kid") != own:
        raise InvalidRequestError(
            f"the receipt was signed with key {header.get('kid')!r}, and this one is {own!r}"
        )
    # Whether the receiver's clock agrees does not matter to what was signed.
    options: Any = {"verify_iat": False}
    try:
        return jwt.decode(receipt, key, algorithms=[ALGORITHM], options=options)
    except jwt.InvalidTokenError:
        raise InvalidRequestError(
            "the receipt was changed after it was signed, or it is not whole"
        ) from None
