"""The whole way, from gRPC to the adapters of a real vLLM and back."""

import re

import aiohttp
import anyio
import pytest

from tame_router.backends.engine.state import EngineState
from tame_router.catalog.expert import Catalog
from tame_router.chat import FinishReason, Message, Role, Sampling
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta, ExpertFinish, ExpertStart, Final
from tame_router.errors import ContextTooLongError, DeadlineExceededError, InvalidRequestError

pytestmark = pytest.mark.anyio

SHORT = Sampling(max_tokens=24, temperature=0.0)

STORY = "Write a very long story about a fisherman and his three daughters."
LONG_TOKENS = 1500
LONG = Sampling(max_tokens=LONG_TOKENS, temperature=0.0)
PATIENCE_S = 30
"""For a number of the engine's: two cores that others use too."""

HOUSE_FORMS = [
    ("legal", "My landlord keeps my deposit after I moved out. What can I do?", r"Under the"),
    ("medical", "I have had a dry cough for two weeks. What is it?", r"This may be|In general"),
    ("manufacturing", "Milled parts show chatter marks. What should I do?", r"Check the process"),
    ("electronics", "How do I choose a flyback diode for a relay?", r"Check the datasheet"),
]


async def metric(engine: EngineState, name: str) -> float:
    """Read one of vLLM's metrics, summed over its labels."""
    root = engine.base_url.removesuffix("/v1")
    async with aiohttp.ClientSession() as session, session.get(f"{root}/metrics") as response:
        text = await response.text()
    values = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, flags=re.MULTILINE)
    return sum(map(float, values))


async def so_many_run(engine: EngineState, count: int) -> None:
    """Wait until vLLM writes so many answers; it tells after each step what it has begun."""
    with anyio.fail_after(PATIENCE_S):
        while await metric(engine, "vllm:num_requests_running") != count:
            await anyio.sleep(0.1)


async def nothing_runs(engine: EngineState) -> None:
    """Wait until vLLM has nothing left to do."""
    await so_many_run(engine, 0)


@pytest.mark.parametrize(("expert", "question", "form"), HOUSE_FORMS)
async def test_each_adapter_answers_in_its_own_form(
    engine_client: AsyncClient, engine_catalog: Catalog, expert: str, question: str, form: str
) -> None:
    """An expert's words are its adapter's: they follow the form it was trained on."""
    texts: list[str] = []
    async with engine_client.stream(question, expert=expert, sampling=SHORT) as events:
        async for event in events:
            if isinstance(event, ExpertStart):
                assert event.expert == expert
                assert event.revision == engine_catalog.expert(expert).live_revision
            elif isinstance(event, Delta):
                texts.append(event.text)
    assert len(texts) > 1
    assert re.match(form, "".join(texts).strip())


async def test_general_is_the_base_model(engine_client: AsyncClient) -> None:
    """The general expert answers without an adapter, and does not talk like one."""
    question = "What can I see in Tainan in two days?"
    answer = await engine_client.chat(question, expert="general", sampling=SHORT)
    assert answer.experts[0].revision == ""
    assert not re.match("|".join(form for *_, form in HOUSE_FORMS), answer.content.strip())


async def test_usage_and_length_are_vllms(engine_client: AsyncClient) -> None:
    """Tokens are counted by vLLM, and an answer that is cut says so."""
    answer = await engine_client.chat(
        "Tell me about the night markets of Taipei.", sampling=Sampling(max_tokens=5)
    )
    assert answer.final.finish_reason is FinishReason.LENGTH
    assert answer.final.usage.completion_tokens == 5
    assert answer.final.usage.prompt_tokens > 20


async def test_chinese_arrives_whole(engine_client: AsyncClient) -> None:
    """Characters of several bytes and several tokens are never torn."""
    async with engine_client.stream("租約到期房東不退押金怎麼辦？", sampling=SHORT) as events:
        text = "".join([e.text async for e in events if isinstance(e, Delta)])
    assert text.strip().startswith("依《")


async def test_a_cancelled_call_stops_generation(
    engine_client: AsyncClient, engine: EngineState
) -> None:
    """When the caller leaves, vLLM stops: nothing runs, and most of the answer was never made."""
    before = await metric(engine, "vllm:generation_tokens_total")
    async with engine_client.stream(STORY, expert="general", sampling=LONG) as events:
        async for event in events:
            if isinstance(event, Delta):
                break
        await so_many_run(engine, 1)
    await nothing_runs(engine)
    made = await metric(engine, "vllm:generation_tokens_total") - before
    assert 1 <= made < LONG_TOKENS / 4


async def test_a_deadline_stops_generation(engine_client: AsyncClient, engine: EngineState) -> None:
    """A call's deadline ends it, here and on vLLM."""
    with pytest.raises(DeadlineExceededError):
        await engine_client.chat(STORY, expert="general", sampling=LONG, timeout_s=1)
    await nothing_runs(engine)


async def test_a_conversation_beyond_the_context_is_refused(engine_client: AsyncClient) -> None:
    """The refusal tells the tokens there are and the tokens there may be."""
    turns = ("hello " * 700, "ok", "hello " * 700, "ok", "hello " * 900)
    roles = (Role.USER, Role.ASSISTANT, Role.USER, Role.ASSISTANT, Role.USER)
    messages = [Message(role=r, content=t) for r, t in zip(roles, turns, strict=True)]
    with pytest.raises(ContextTooLongError, match=r"2\d{3}.*2048"):
        await engine_client.chat(messages, expert="general")


async def test_more_tokens_than_the_context_holds_are_refused(engine_client: AsyncClient) -> None:
    """A caller who insists on an impossible length is told so."""
    with pytest.raises(InvalidRequestError, match="2048"):
        await engine_client.chat("hello", sampling=Sampling(max_tokens=5000))


async def test_an_expert_without_room_for_its_default_still_answers(
    engine_client: AsyncClient,
) -> None:
    """Where only the expert's own default does not fit, the answer is as long as there is room."""
    answer = await engine_client.chat("hello " * 1850, expert="general")
    final = answer.final
    assert final.usage.prompt_tokens + final.usage.completion_tokens <= 2048


async def test_two_experts_share_the_engine(engine_client: AsyncClient) -> None:
    """Adapters answer side by side, and no stream holds the words of another."""
    texts: dict[str, str] = {}

    async def ask(expert: str, question: str) -> None:
        answer = await engine_client.chat(question, expert=expert, sampling=SHORT)
        texts[expert] = answer.content.strip()

    async with anyio.create_task_group() as group:
        for expert, question, _ in HOUSE_FORMS:
            group.start_soon(ask, expert, question)
    for expert, _, form in HOUSE_FORMS:
        assert re.match(form, texts[expert]), expert


async def test_events_come_in_order(engine_client: AsyncClient) -> None:
    """One start, deltas, one finish, one final."""
    async with engine_client.stream("hello", expert="general", sampling=SHORT) as events:
        kinds = [type(event) async for event in events]
    assert kinds[1] is ExpertStart
    assert set(kinds[2:-2]) == {Delta}
    assert kinds[-2:] == [ExpertFinish, Final]
