"""Simplified Chinese that leaks from a model, end to end: the fake writes it, gRPC brings it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
import yaml

from tame_router import app
from tame_router.catalog.expert import Catalog
from tame_router.chat import Document, Format, ResponseFormat, Sampling
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta, Event, ExpertFinish
from tame_router.client.joined import Part
from tame_router.config import Settings
from tame_router.errors import BackendError
from tests.answering.guarded_sentences import LEAKING
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Pace, Truncate
from tests.joined_order import check_order
from tests.router_fixture import changed
from tests.small_experts import QUESTIONS, write_experts

pytestmark = pytest.mark.anyio

MEDICAL = QUESTIONS["medical"][0]
WRITTEN = "".join(written for written, _ in LEAKING)
LONG = Sampling(max_tokens=1500)
PLENTY = Sampling(max_tokens=8_000)
BOTH: dict[str, Any] = {"allow": ["legal", "medical"], "max_experts": 2}
WANTED = "".join(wanted for _, wanted in LEAKING)


def text(events: Sequence[Event]) -> str:
    """Put the deltas of an answer together."""
    return "".join(event.text for event in events if isinstance(event, Delta))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give settings of a router that converts."""
    return changed(settings, guard={"simplified": "convert"})


@pytest.mark.parametrize("tokens", [1, 2, 3, 7])
async def test_leaks_cut_inside_words_arrive_traditional(
    client: AsyncClient, fake_vllm: FakeVllm, tokens: int
) -> None:
    """However the server cuts its words, the caller reads Taiwan's; whole answers too."""
    fake_vllm.text = WRITTEN
    fake_vllm.pace = Pace(tokens_per_event=tokens)
    async with client.stream(MEDICAL, sampling=LONG) as events:
        seen = [event async for event in events]
    assert text(seen) == WANTED
    assert all(event.text for event in seen if isinstance(event, Delta))
    assert isinstance(seen[-2], ExpertFinish)
    assert (await client.chat(MEDICAL, sampling=LONG)).content == WANTED


async def test_who_writes_simplified_reads_it(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """A Simplified question gets the words as the expert wrote them."""
    fake_vllm.text = "头发会长出来。"
    answer = await client.chat("发烧三十九度要看医生吗？")
    assert answer.decision.language == "zh-CN"
    assert answer.content == fake_vllm.text


async def test_documents_may_be_quoted(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """A stretch of a given document stays; the expert's own words around it do not."""
    document = Document(text="用人单位应当按月支付工资。")
    fake_vllm.text = "文件說「用人单位应当按月支付工资」，就是说雇主要付薪水。"
    answer = await client.chat(MEDICAL, documents=[document])
    assert answer.content == "文件說「用人单位应当按月支付工资」，就是說雇主要付薪水。"


async def test_probabilities_keep_their_tokens(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """Where log-probabilities are wanted, and in JSON, the text is the backend's."""
    plain = await client.chat(MEDICAL, top_logprobs=0)
    form = ResponseFormat(format=Format.JSON_OBJECT)
    assert plain.content
    assert (await client.chat(MEDICAL, response_format=form)).content.startswith("{")


async def test_a_broken_answer_keeps_every_character(
    client: AsyncClient, fake_vllm: FakeVllm
) -> None:
    """When the server dies inside a word, what it wrote of it still comes, and then the error."""
    fake_vllm.text = "他的头发很长"
    fake_vllm.next(Truncate(events=4))  # one for the role, three of a character each
    seen: list[Event] = []

    async def read() -> None:
        async with client.stream(MEDICAL) as events:
            async for event in events:
                seen.append(event)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(BackendError):
        await read()
    assert text(seen) == "他的頭"


async def test_it_is_counted_by_expert(settings: Settings, fake_vllm: FakeVllm) -> None:
    """The metrics say how many characters an expert wrote, and how many were Simplified."""
    found: list[str] = []
    fake_vllm.text = "他的头发很长。"
    counting = changed(settings, guard={"simplified": "count"})
    async with app.running(counting, announce_http=found.append) as address:
        async with AsyncClient(address, attempts=1) as client:
            assert (await client.chat(MEDICAL)).content == fake_vllm.text
        async with aiohttp.ClientSession() as web, web.get(f"http://{found[0]}/metrics") as got:
            page = await got.text()
    assert 'tame_guard_characters_total{expert="medical"} 7.0' in page
    assert 'tame_guard_simplified_total{action="count",expert="medical"} 3.0' in page


async def test_an_expert_says_otherwise(
    settings: Settings, fake_vllm: FakeVllm, tmp_path: Path, catalog: Catalog
) -> None:
    """`simplified: off` in `expert.yaml`, which YAML reads as False, wins over the service."""
    experts = write_experts(tmp_path)
    file = experts / "medical" / "expert.yaml"
    document = yaml.safe_load(await anyio.Path(file).read_text())
    rewritten = yaml.safe_dump({**document, "simplified": False}, allow_unicode=True)
    await anyio.Path(file).write_text(rewritten)
    fake_vllm.text = "头发"
    other = Settings.model_validate({**settings.model_dump(), "experts_dir": experts})
    async with app.running(other) as address, AsyncClient(address, attempts=1) as client:
        assert (await client.chat(MEDICAL)).content == "头发"
        assert (await client.chat(QUESTIONS["legal"][0])).content == "頭髮"


@pytest.mark.parametrize("join", ["panel", "second_opinion", "fuse", "best_of"])
async def test_every_part_arrives_traditional(
    client: AsyncClient, fake_vllm: FakeVllm, join: str
) -> None:
    """Each expert's words are converted as its own, and none strays into another's part."""
    fake_vllm.text = WRITTEN
    fake_vllm.max_model_len = 32_768
    fake_vllm.pace = Pace(tokens_per_event=2)
    seen: list[Event] = []
    async with client.stream(MEDICAL, join=join, sampling=PLENTY, **BOTH) as events:
        seen = [event async for event in events]
    check_order(seen)
    for expert, part in {(e.expert, e.part) for e in seen if isinstance(e, Delta)} - {
        (e.expert, Part.LABEL) for e in seen if isinstance(e, Delta)
    }:
        said = "".join(
            e.text for e in seen if isinstance(e, Delta) and (e.expert, e.part) == (expert, part)
        )
        assert said == WANTED
