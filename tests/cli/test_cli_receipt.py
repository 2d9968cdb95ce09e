"""`tame receipt`: a key, and the proof of a receipt with its public part."""

import json
from pathlib import Path

import msgspec
import pytest

from tame_router.config_access import ReceiptSettings
from tame_router.receipt.building import build_signer
from tame_router.receipt.digest import text_digest
from tests.audit.recorded import answered
from tests.cli.conftest import Tame

ASKED = '{"messages":[{"content":"你好","role":"user"}]}'


@pytest.fixture
def receipt(tame: Tame) -> str:
    """Give a receipt whose key, request and answer lie in the folder."""
    Path("pub.pem").write_text(tame("receipt", "key", "key.pem").out)
    Path("asked.json").write_text(json.dumps(json.loads(ASKED), indent=2))
    Path("answer.txt").write_text("您好")
    record = msgspec.structs.replace(
        answered(), request_digest=text_digest(ASKED), answer_digest=text_digest("您好")
    )
    return build_signer(ReceiptSettings(key_file=Path("key.pem"))).sign(record)


def test_a_receipt_is_proved(tame: Tame, receipt: str) -> None:
    """With the request in any layout, and the answer."""
    given = ("--request", "asked.json", "--answer", "answer.txt")
    result = tame("receipt", "verify", "--key", "pub.pem", receipt, *given)
    assert (result.code, result.err) == (0, "")
    assert "answer-000001" in result.out
    told = json.loads(tame("receipt", "verify", "--key", "pub.pem", receipt, "--json").out)
    assert told["ok"]
    assert told["receipt"]["tenant"] == "hospital"


def test_what_does_not_match_is_named(tame: Tame, receipt: str) -> None:
    """The request, the answer, or the receipt itself."""
    Path("other.json").write_text('{"messages":[]}')
    verify = ("receipt", "verify", "--key", "pub.pem")
    result = tame(*verify, receipt, "--request", "other.json", "--answer", "asked.json")
    assert result.code == 1
    assert [line.split(":")[0] for line in result.err.splitlines()] == [
        "the request does not match",
        "the answer does not match",
    ]
    result = tame(*verify, receipt[:-9] + "AAAAAAAAA")
    assert (result.code, result.out) == (1, "")
    assert "changed after it was signed" in result.err


def test_files_that_are_none_are_refused(tame: Tame, receipt: str) -> None:
    """Bad input is not a bad receipt."""
    verify = ("receipt", "verify", receipt)
    assert tame(*verify, "--key", "nowhere").code == 2
    assert tame(*verify, "--key", "pub.pem", "--request", "answer.txt").code == 2
    assert tame(*verify, "--key", "pub.pem", "--answer", "nowhere").code == 2
    assert tame("receipt", "key", "key.pem").code == 2
