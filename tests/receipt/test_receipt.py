"""Receipts: proved with the public key alone, refused with a reason when anything differs."""

import base64
import json
import logging
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from tame_router.config_access import ReceiptSettings
from tame_router.errors import ConfigError, InvalidRequestError
from tame_router.receipt.building import build_signer
from tame_router.receipt.key import load_private, load_public, make_key
from tame_router.receipt.receipt import Ed25519Signer, read_receipt
from tame_router.receipt.signer import Unsigned
from tame_router.telemetry import log
from tests.audit.recorded import answered

KEY = Ed25519PrivateKey.generate()
RECEIPT = Ed25519Signer(KEY, clock=lambda: 1_795_000_000).sign(answered())


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_receipt_says_what_the_answer_was_made_of() -> None:
    """The public key alone proves it."""
    claims = read_receipt(RECEIPT, KEY.public_key())
    assert claims["answer_id"] == "answer-000001"
    assert claims["iat"] == 1_795_000_000
    assert claims["experts"][0] == {"expert": "baking", "probability": 0.75}
    assert claims["steps"][0]["adapter_digest"] == "a" * 64
    assert claims["request_digest"] == answered().request_digest


@given(at=st.integers(0, len(RECEIPT) - 1), replacement=st.characters())
def test_any_changed_character_is_refused(at: int, replacement: str) -> None:
    """Wherever it is; but for bits that base64 itself drops."""
    changed = RECEIPT[:at] + replacement + RECEIPT[at + 1 :]
    if changed == RECEIPT or at == len(RECEIPT) - 1:
        return
    with pytest.raises(InvalidRequestError):
        read_receipt(changed, KEY.public_key())


@given(length=st.integers(0, len(RECEIPT) - 1))
def test_a_truncated_receipt_is_refused(length: int) -> None:
    """However much is missing."""
    with pytest.raises(InvalidRequestError):
        read_receipt(RECEIPT[:length], KEY.public_key())


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"alg": "none", "typ": "tame-receipt+jwt"}, "'none'"),
        ({"alg": "HS256", "typ": "tame-receipt+jwt"}, "'HS256'"),
        ({"alg": "EdDSA", "typ": "JWT"}, "type"),
        ({"alg": "EdDSA", "typ": "tame-receipt+jwt", "kid": "other"}, "'other'"),
    ],
)
def test_another_header_is_refused(header: dict[str, str], reason: str) -> None:
    """No other signature, no other kind of token, no other key."""
    _, claims, signature = RECEIPT.split(".")
    with pytest.raises(InvalidRequestError, match=reason):
        read_receipt(f"{_part(header)}.{claims}.{signature}", KEY.public_key())


def test_another_key_is_refused() -> None:
    """The reason names both keys."""
    with pytest.raises(InvalidRequestError, match="was signed with key"):
        read_receipt(RECEIPT, Ed25519PrivateKey.generate().public_key())


def test_a_pair_is_made_once(tmp_path: Path) -> None:
    """The private part is its owner's alone, and never overwritten; the public part fits."""
    path, public = tmp_path / "key.pem", tmp_path / "pub.pem"
    public.write_text(make_key(path))
    assert path.stat().st_mode & 0o777 == 0o600
    receipt = build_signer(ReceiptSettings(key_file=path)).sign(answered())
    assert read_receipt(receipt, load_public(public))["tenant"] == "hospital"
    with pytest.raises(InvalidRequestError, match="never overwritten"):
        make_key(path)
    with pytest.raises(InvalidRequestError, match="cannot be written"):
        make_key(tmp_path / "nowhere" / "key.pem")
    with pytest.raises(InvalidRequestError, match="public key"):
        load_public(path)
    with pytest.raises(InvalidRequestError, match="No such file"):
        load_public(tmp_path / "nothing")


def test_a_key_that_cannot_sign_stops_the_start(tmp_path: Path) -> None:
    """Missing, not PEM, or of another kind."""
    path = tmp_path / "key.pem"
    with pytest.raises(ConfigError, match="No such file"):
        load_private(path)
    path.write_text("no key")
    with pytest.raises(ConfigError, match="not a PEM"):
        load_private(path)
    rsa = generate_private_key(public_exponent=65_537, key_size=2_048)
    path.write_bytes(rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ConfigError, match="Ed25519"):
        load_private(path)


def test_a_key_open_to_others_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the log, with what to do."""
    caplog.set_level(logging.WARNING, log.LOGGER.name)
    path = tmp_path / "key.pem"
    make_key(path)
    path.chmod(0o644)
    build_signer(ReceiptSettings(key_file=path))
    assert [record.message for record in caplog.records] == ["receipt.key_open"]


def test_without_a_key_nothing_is_signed() -> None:
    """Receipts are the operator's choice."""
    signer = build_signer(ReceiptSettings())
    assert isinstance(signer, Unsigned)
    assert signer.sign(answered()) == ""
