"""What a fallback leaves behind: over HTTP, in records, receipts, metrics and the log."""

import json
import logging
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tame_router.audit.archive import Archive
from tame_router.audit.lookup import Wanted
from tame_router.catalog.expert import Catalog
from tame_router.config import Settings
from tame_router.errors import BackendUnavailableError
from tame_router.receipt.key import load_public, make_key
from tame_router.receipt.receipt import read_receipt
from tame_router.store import Database
from tame_router.telemetry import log
from tests.audit.recorded import verified
from tests.fakes.vllm import BASE_MODEL
from tests.fakes.vllm_script import Refuse
from tests.fallback_fixture import EVERY_STEP, Servers
from tests.flows.test_failover import page
from tests.small_experts import NOTICES, QUESTIONS

pytestmark = [
    pytest.mark.anyio,
    # LiteLLM warns about itself under Pydantic 2.14, and leaves tasks behind when a loop ends.
    pytest.mark.filterwarnings("ignore"),
]

LEGAL = QUESTIONS["legal"][0]
ASK: Any = [{"role": "user", "content": LEGAL}]
GENERAL = {"expert": "general"}


def sdk(servers: Servers) -> AsyncOpenAI:
    """Give an OpenAI client that does not try again."""
    return AsyncOpenAI(base_url=f"http://{servers.http[-1]}/v1", api_key="any", max_retries=0)


async def test_an_openai_caller_is_told(servers: Servers, catalog: Catalog) -> None:
    """In headers, in `tame` and in the notice; the model is who answered."""
    revision = catalog.expert("legal").live_revision
    servers.kill()
    async with servers.asking(GENERAL), sdk(servers) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="tame-auto", messages=ASK
        )
        answer = raw.parse()
    tame = answer.model_extra["tame"]  # type: ignore[index]
    fallback = {
        "kind": "expert",
        "instead_of": "legal",
        "revision": revision,
        "reason": "BACKEND_UNAVAILABLE",
        "backend": "second",
        "external": False,
    }
    assert tame["fallback"] == fallback
    assert [(note["expert"], note["reason"]) for note in tame["notes"]] == [
        ("legal", "BACKEND_UNAVAILABLE")
    ]
    assert tame["notice"].startswith("本回答由「一般」專家撰寫，並非出自「法律」專家")
    assert tame["decision"]["experts"][0]["expert"] == "legal"
    assert tame["revision"] == ""
    assert answer.model == "general"
    assert raw.headers["x-tame-expert"] == "general"
    assert raw.headers["x-tame-fallback"] == "expert"


async def test_an_openai_stream_tells_it_before_the_first_word(
    servers: Servers, catalog: Catalog
) -> None:
    """The first chunk has it, and so has the last."""
    servers.forget()
    async with servers.asking("base_model"), sdk(servers) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="legal", messages=ASK, stream=True
        )
        assert raw.headers["x-tame-fallback"] == "base_model"
        assert raw.headers["x-tame-expert"] == "legal"
        chunks = [chunk async for chunk in raw.parse()]
    told = [chunk.model_extra["tame"] for chunk in (chunks[0], chunks[-1])]  # type: ignore[index]
    assert [tame["fallback"]["kind"] for tame in told] == ["base_model"] * 2
    assert told[0]["notice"].endswith(NOTICES["legal"]["zh-TW"])
    assert told[0]["notice"].startswith("本回答由未經專業訓練的基礎模型撰寫")
    assert told[1]["notes"][0]["reason"] == "ADAPTER_NOT_LOADED"
    assert {chunk.model for chunk in chunks} == {"legal"}


async def test_an_openai_caller_of_several_experts_is_told(servers: Servers) -> None:
    """Who was asked stands in the notes, who wrote it in `fallback`, and its words are a part."""
    servers.kill()
    asked = {"join": "panel", "experts": ["legal", "medical", "general"]}
    async with servers.asking(GENERAL), sdk(servers) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="tame-auto", messages=ASK, extra_body={"tame": asked}
        )
    answer = raw.parse()
    tame = answer.model_extra["tame"]  # type: ignore[index]
    assert [note["expert"] for note in tame["notes"]] == [
        one["expert"] for one in tame["decision"]["experts"]
    ]
    assert tame["fallback"]["instead_of"] == tame["decision"]["experts"][0]["expert"]
    assert tame["notice"] == tame["steps"][0]["notice"] != ""
    assert [(part["expert"], part["content"]) for part in tame["parts"]] == [
        ("general", answer.choices[0].message.content)
    ]
    assert answer.model == "general"
    assert raw.headers["x-tame-fallback"] == "expert"


async def test_an_answer_by_the_expert_itself_says_nothing(servers: Servers) -> None:
    """No header, no field: it is as without a policy."""
    async with servers.asking(*EVERY_STEP), sdk(servers) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="tame-auto", messages=ASK
        )
    assert "x-tame-fallback" not in raw.headers
    assert not {"fallback", "notes"} & set(raw.parse().model_extra["tame"])  # type: ignore[index]


async def test_an_openai_caller_may_want_none(servers: Servers, catalog: Catalog) -> None:
    """`tame.no_fallback`, and a model with its revision: then the failure is a status."""
    servers.forget()
    digest = catalog.expert("legal").live_revision.partition("--")[2]
    async with servers.asking("base_model"), sdk(servers) as client:
        for model, extras in (("tame-auto", {"no_fallback": True}), (f"legal@{digest}", {})):
            with pytest.raises(openai.InternalServerError) as caught:
                await client.chat.completions.create(
                    model=model, messages=ASK, extra_body={"tame": extras}
                )
            assert caught.value.status_code == 503
            assert caught.value.code == "ADAPTER_NOT_LOADED"


def recorded(settings: Settings, folder: Path) -> list[dict[str, Any]]:
    """Give the records that were kept, after proving that they are whole."""
    database = Database(settings.store, folder)
    try:
        assert verified(database) == []
        return [json.loads(kept.line) for kept in Archive(database).find(Wanted())]
    finally:
        database.close()


async def test_records_receipts_and_metrics_have_every_hop(
    servers: Servers, catalog: Catalog, tmp_path: Path
) -> None:
    """Who was asked, in which place, how each failed, and who wrote in the end."""
    revision = catalog.expert("legal").live_revision
    key, public = tmp_path / "key.pem", tmp_path / "pub.pem"
    public.write_text(make_key(key))
    sections: dict[str, Any] = {
        "store": {"url": f"sqlite:///{tmp_path / 'audit.db'}"},
        "receipts": {"key_file": key},
    }
    servers.kill()
    servers.second.faults = {BASE_MODEL: Refuse(status=500)}
    policy: dict[str, Any] = {"tenants": {"azure": ["local"]}, "sections": sections}
    async with servers.asking(*EVERY_STEP, **policy) as client:
        answer = await client.chat(LEGAL)
        servers.second.always = Refuse(status=500)
        with pytest.raises(BackendUnavailableError):
            await client.chat(LEGAL)
        metrics = await page(servers.http[-1], "/metrics")
    steps = [
        {"expert": "legal", "revision": revision, "fallback": "", "end": "BACKEND_UNAVAILABLE"},
        {"expert": "general", "revision": "", "fallback": "expert", "end": "BACKEND_FAILED"},
        {"expert": "legal", "revision": "", "fallback": "backend:azure", "end": "stop"},
    ]
    settings = servers.settings.model_copy(
        update={"store": type(servers.settings.store)(url=sections["store"]["url"])}
    )
    records = recorded(settings, tmp_path)
    first, second = sorted(records, key=lambda record: record["begin_time"])
    claims = read_receipt(answer.final.receipt, load_public(public))
    for found in (first["steps"], claims["steps"]):
        assert [
            {**{name: step[name] for name in ("expert", "revision", "fallback")},
             "end": step["finish_reason"]}
            for step in found
        ] == steps  # fmt: skip
    assert first["outcome"] == "ok"
    assert second["outcome"] == "BACKEND_UNAVAILABLE"
    assert [step["finish_reason"] for step in second["steps"]] == [
        "BACKEND_UNAVAILABLE",
        "BACKEND_FAILED",
        "BACKEND_FAILED",
    ]
    for kind, reason in (("expert", "BACKEND_UNAVAILABLE"), ("backend", "BACKEND_FAILED")):
        labels = f'expert="legal",kind="{kind}",reason="{reason}"'
        assert f"tame_fallbacks_total{{{labels}}} 2.0" in metrics
    labels = 'expert="general",reason="BACKEND_FAILED"'
    assert f"tame_backend_errors_total{{{labels}}} 2.0" in metrics


async def test_the_log_tells_of_each_hop(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning as it happens, and the end of the answer says in whose place it was."""
    servers.kill()
    caplog.set_level(logging.INFO, log.LOGGER.name)
    async with servers.asking(GENERAL) as client:
        await client.chat(LEGAL)
    (hop,) = [one for one in caplog.records if one.message == "answer.fell_back"]
    (end,) = [one for one in caplog.records if one.message == "answer.finished"]
    assert hop.levelno == logging.WARNING
    facts = vars(hop)["facts"]
    assert (facts["instead_of"], facts["expert"], facts["backend"], facts["external"]) == (
        *("legal", "general", "second"),
        False,
    )
    assert facts["reason"] == "BACKEND_UNAVAILABLE"
    assert vars(end)["facts"]["instead_of"] == "legal"
