"""Several experts over the OpenAI API: one readable text, and who said what beside it."""

import json
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest

from tame_router.catalog.expert import Catalog
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import HangUp, Pace
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

TWO = {"experts": ["legal", "medical"], "max_experts": 2}


@pytest.fixture
def revisions(catalog: Catalog, fake_vllm: FakeVllm) -> dict[str, str]:
    """Give the revisions of two experts, with words of their own."""
    found = {name: catalog.expert(name).live_revision for name in ("legal", "medical")}
    fake_vllm.texts = {found["legal"]: "依法。", found["medical"]: "冰敷。", BASE_MODEL: "都要。"}
    return found


async def post(url: str, **fields: Any) -> tuple[int, str]:
    """Ask, and give the status and the body."""
    body = {
        "model": "tame-auto",
        "messages": [{"role": "user", "content": QUESTIONS["legal"][0]}],
        **fields,
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=body) as response,
    ):
        return response.status, await response.text()


async def chunks(url: str, **fields: Any) -> list[dict[str, Any]]:
    """Ask for a stream, and give its chunks."""
    status, text = await post(url, stream=True, **fields)
    assert status == 200, text
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
    assert text.endswith("data: [DONE]\n\n")
    return [json.loads(line) for line in lines]


def said(found: Sequence[dict[str, Any]], **wanted: str) -> str:
    """Join the words of the chunks whose `tame` says so."""
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in found
        for choice in chunk["choices"]
        if all(chunk.get("tame", {}).get(key) == value for key, value in wanted.items())
    )


async def test_a_whole_answer_is_one_text(http_url: str, revisions: dict[str, str]) -> None:
    """Parts under their titles; `tame` has parts, steps and notes; usage is the sum."""
    status, text = await post(http_url, tame={"join": "panel", **TWO})
    answer = json.loads(text)
    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "【法律】\n依法。\n\n【醫療】\n冰敷。"
    assert answer["model"] == "tame-auto"
    tame = answer["tame"]
    assert [part["content"] for part in tame["parts"]] == ["依法。", "冰敷。"]
    assert [step["expert"] for step in tame["steps"]] == ["legal", "medical"]
    assert answer["usage"]["completion_tokens"] == sum(
        step["completion_tokens"] for step in tame["steps"]
    )
    assert tame["notes"] == []
    assert tame["decision"]["join_reason"] == "ASKED"
    assert tame["revision"] == revisions["legal"]


async def test_a_stream_says_whose_words_they_are(
    http_url: str, fake_vllm: FakeVllm, revisions: dict[str, str]
) -> None:
    """Each chunk names expert and part; joined they are the same text as of a whole answer."""
    fake_vllm.pace = Pace(token_s=0.002)
    found = await chunks(http_url, tame={"join": "panel", **TWO})
    assert said(found) == "【法律】\n依法。\n\n【醫療】\n冰敷。"
    assert said(found, expert="legal", part="lead") == "依法。"
    assert said(found, expert="medical", part="expert") == "冰敷。"
    assert {chunk["model"] for chunk in found} == {"tame-auto"}
    last = found[-1]["tame"]
    assert [step["expert"] for step in last["steps"]] == ["legal", "medical"]


async def test_notes_and_tallies_are_told(
    http_url: str, fake_vllm: FakeVllm, revisions: dict[str, str]
) -> None:
    """Who left and how a vote came out stand in the last chunk, and in a whole answer."""
    fake_vllm.faults = {revisions["legal"]: HangUp()}
    found = await chunks(http_url, tame={"join": "vote", **TWO})
    tame = found[-1]["tame"]
    assert [note["expert"] for note in tame["notes"]] == ["legal"]
    assert tame["tally"]["expert"] == "medical"
    assert said(found) == "冰敷。"


async def test_drafts_stand_beside_the_answer(
    http_url: str, fake_vllm: FakeVllm, revisions: dict[str, str]
) -> None:
    """With `drafts` their words come in chunks whose delta is empty."""
    found = await chunks(http_url, tame={"join": "fuse", "drafts": True, **TWO})
    drafts = [c["tame"] for c in found if "draft" in c.get("tame", {})]
    assert {draft["expert"] for draft in drafts} == {"legal", "medical"}
    assert "".join(d["draft"] for d in drafts if d["expert"] == "legal") == "依法。"
    assert said(found) == "都要。\n\n[1] 法律\n[2] 醫療"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tame": {"join": "choir"}}, "tame.join"),
        ({"tame": {"order": "random"}}, "tame.order"),
        ({"tame": {"join": "panel"}, "n": 2}, "tame.join"),
        ({"tame": {"join": "panel"}, "logprobs": True}, "tame.join"),
        (
            {"tame": {"join": "fuse"}, "response_format": {"type": "json_object"}},
            "tame.join",
        ),
        ({"tame": {"join": "panel"}, "model": "legal"}, "tame.join"),
        ({"tame": {"join": "panel", "max_experts": 9}}, "tame.max_experts"),
        ({"tame": {"join": "fuse"}, "max_tokens": 3}, "max_tokens"),
    ],
)
async def test_what_cannot_be_had_is_refused(
    http_url: str, fake_vllm: FakeVllm, fields: dict[str, Any], param: str
) -> None:
    """With the field at fault, before anybody is asked."""
    status, text = await post(http_url, **fields)
    assert (status, json.loads(text)["error"]["param"]) == (400, param)
    assert fake_vllm.chats == []


async def test_json_is_held_by_a_vote(http_url: str, revisions: dict[str, str]) -> None:
    """A form is legal with `vote` and `best_of`: the winner's words are JSON."""
    for join in ("vote", "best_of"):
        status, text = await post(
            http_url, tame={"join": join, **TWO}, response_format={"type": "json_object"}
        )
        assert status == 200
        assert json.loads(json.loads(text)["choices"][0]["message"]["content"])
