"""An answer through the whole service leaves a record and a receipt that prove each other."""

import json
from pathlib import Path

import pytest

from tame_router import app
from tame_router.audit.archive import Archive
from tame_router.audit.lookup import Wanted
from tame_router.canonical_json import digest
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tame_router.errors import TameError
from tame_router.receipt.digest import text_digest
from tame_router.receipt.key import load_public, make_key
from tame_router.receipt.receipt import read_receipt
from tame_router.store import Database
from tests.audit.recorded import verified
from tests.fakes.vllm import FakeVllm
from tests.router_fixture import changed
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

LEGAL = QUESTIONS["legal"][0]


async def test_an_answer_is_recorded_and_receipted(
    settings: Settings, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    """The receipt's digests are those that its caller makes; the stop closes the chain."""
    key, public = tmp_path / "key.pem", tmp_path / "pub.pem"
    public.write_text(make_key(key))
    store = {"url": f"sqlite:///{tmp_path / 'audit.db'}"}
    chosen = changed(settings, store=store, receipts={"key_file": key})
    async with app.running(chosen) as address, AsyncClient(address, attempts=1) as client:
        answer = await client.chat(LEGAL)
        with pytest.raises(TameError):
            await client.chat(LEGAL, timeout_s=0.000_1)
    claims = read_receipt(answer.final.receipt, load_public(public))
    assert claims["answer_id"] == answer.answer_id
    assert claims["answer_digest"] == text_digest(answer.content)
    asked = {"messages": [{"role": "user", "content": LEGAL}]}
    assert claims["request_digest"] == digest(asked)
    assert claims["experts"][0]["expert"] in answer.decision.experts
    database = Database(chosen.store, tmp_path)
    try:
        records = [json.loads(kept.line) for kept in Archive(database).find(Wanted())]
        assert verified(database) == []
        last = json.loads(list(Archive(database).lines())[-2])
    finally:
        database.close()
    assert records[0]["answer_id"] == answer.answer_id
    assert (records[0]["tenant"], records[0]["outcome"]) == ("local", "ok")
    assert records[0]["policy_digest"] == claims["policy_digest"]
    assert last["kind"] == "close"
