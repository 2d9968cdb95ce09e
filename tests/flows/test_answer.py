"""An answer, end to end: gRPC in, the right adapter asked over HTTP, events out."""

from datetime import timedelta
from typing import Any

import anyio.to_thread
import pytest

from tame_router import app
from tame_router.catalog.expert import Catalog
from tame_router.chat import FinishReason, Message, Role, Sampling, Usage
from tame_router.client.async_client import AsyncClient
from tame_router.client.client import Client
from tame_router.client.event import (
    Answer,
    DecisionMade,
    Delta,
    Event,
    ExpertFinish,
    ExpertStart,
    Final,
)
from tame_router.config import Settings
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Pace, Raw
from tests.router_fixture import changed
from tests.small_experts import NOTICES, QUESTIONS, prompt

pytestmark = pytest.mark.anyio

LEGAL_ZH, LEGAL_EN = QUESTIONS["legal"]


async def ask(client: AsyncClient, question: str | list[Message], **options: Any) -> list[Event]:
    """Ask, and collect the events."""
    async with client.stream(question, **options) as events:
        return [event async for event in events]


def user(*texts: str) -> list[Message]:
    """Give a conversation of questions with an answer between each two."""
    messages = []
    for text in texts:
        messages += [
            Message(role=Role.USER, content=text),
            Message(role=Role.ASSISTANT, content="…"),
        ]
    return messages[:-1]


@pytest.mark.parametrize("name", list(QUESTIONS))
@pytest.mark.parametrize("language", ["zh-TW", "en"])
async def test_the_right_expert_answers(
    client: AsyncClient, catalog: Catalog, name: str, language: str
) -> None:
    """A question in either language goes to its domain, and the decision says why."""
    decision = await client.route(QUESTIONS[name][language == "en"])
    assert decision.expert == name
    assert decision.language == language
    assert (decision.stage, decision.reason) == ("fast", "MOST_PROBABLE")
    assert set(decision.probabilities) == set(catalog.names)
    assert sum(decision.probabilities.values()) == pytest.approx(1)
    assert list(decision.probabilities.values()) == sorted(
        decision.probabilities.values(), reverse=True
    )
    assert timedelta() < decision.elapsed < timedelta(seconds=1)
    assert len(decision.classifier_digest) == 64
    assert decision.features == {}


async def test_a_route_explains_itself_when_asked(client: AsyncClient) -> None:
    """With `explain` the features that weighed most are told, the heaviest first."""
    decision = await client.route(LEGAL_ZH, explain=True)
    weights = [abs(weight) for weight in decision.features.values()]
    assert weights == sorted(weights, reverse=True)
    assert weights
    assert all(text.strip("?") in LEGAL_ZH.replace("？", "") for text in decision.features)


async def test_a_route_asks_nobody(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """`Route` decides without a word to the backend."""
    await client.route(LEGAL_ZH)
    assert fake_vllm.received == []


async def test_events_come_in_order(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """Decision, start, deltas, finish, final: nothing else, nothing twice."""
    fake_vllm.pace = Pace(token_s=0.002)
    events = await ask(client, LEGAL_ZH)
    kinds = [type(event) for event in events]
    deltas = kinds.count(Delta)
    assert deltas > 1
    assert kinds == [DecisionMade, ExpertStart, *[Delta] * deltas, ExpertFinish, Final]


async def test_every_event_names_expert_and_revision(
    client: AsyncClient, catalog: Catalog, fake_vllm: FakeVllm
) -> None:
    """Start, deltas and finish say who writes, and by which adapter."""
    fake_vllm.pace = Pace(token_s=0.002)
    live = catalog.expert("legal").live_revision
    assert live.startswith("legal--")
    told = [
        (event.expert, event.revision)
        for event in await ask(client, LEGAL_EN)
        if isinstance(event, ExpertStart | Delta | ExpertFinish)
    ]
    assert set(told) == {("legal", live)}


async def test_what_the_expert_writes_arrives_whole(
    client: AsyncClient, fake_vllm: FakeVllm
) -> None:
    """The deltas in order are the text that the backend sent, to the last character."""
    fake_vllm.text = "第一條：押金 — “deposit” 🩺\n\t完。"
    fake_vllm.pace = Pace(token_s=0.001)
    events = await ask(client, LEGAL_ZH)
    assert "".join(e.text for e in events if isinstance(e, Delta)) == fake_vllm.text


async def test_usage_and_times_are_told(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """The finish and the final carry the backend's count and times that fit each other."""
    fake_vllm.pace = Pace(first_token_s=0.02, token_s=0.01)
    events = await ask(client, LEGAL_ZH)
    finish, final = events[-2:]
    assert isinstance(finish, ExpertFinish)
    assert isinstance(final, Final)
    assert finish.usage == final.usage
    assert finish.usage.completion_tokens == 16
    assert finish.usage.prompt_tokens > 16
    assert finish.finish_reason is final.finish_reason is FinishReason.STOP
    assert finish.time_to_first_token is not None
    assert timedelta(milliseconds=15) < finish.time_to_first_token
    assert finish.elapsed - finish.time_to_first_token > timedelta(milliseconds=50)
    assert finish.elapsed <= final.elapsed < timedelta(seconds=5)


async def test_notices_are_in_the_language_of_the_question(client: AsyncClient) -> None:
    """A domain that needs a notice has it sent at the start and with the finish."""
    for question, language in ((LEGAL_ZH, "zh-TW"), (LEGAL_EN, "en")):
        events = await ask(client, question)
        told = {e.notice for e in events if isinstance(e, ExpertStart | ExpertFinish)}
        assert told == {NOTICES["legal"][language]}


async def test_an_answer_in_one_message(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """`Chat` gives the same text, decision and counts as the stream."""
    answer = await client.chat(LEGAL_ZH)
    events = await ask(client, LEGAL_ZH)
    assert answer.content == "".join(e.text for e in events if isinstance(e, Delta))
    assert answer.decision.expert == "legal"
    assert [finish.expert for finish in answer.experts] == ["legal"]
    assert answer.experts[0].notice == NOTICES["legal"]["zh-TW"]
    assert (
        answer.final.usage
        == answer.experts[0].usage
        == Usage(prompt_tokens=answer.final.usage.prompt_tokens, completion_tokens=16)
    )
    assert fake_vllm.chats[0].headers["x-request-id"] == answer.answer_id


async def test_clients_without_an_event_loop_get_the_same(address: str, catalog: Catalog) -> None:
    """Every method of the synchronous client answers like the asynchronous one."""

    def use() -> tuple[list[Event], Answer, str, list[str], str]:
        with Client(address, attempts=1) as plain:
            with plain.stream(LEGAL_ZH) as events:
                seen = list(events)
            names = [expert.name for expert in plain.experts()]
            one = plain.expert("medical").titles["en"]
            return seen, plain.chat(LEGAL_ZH), plain.route(LEGAL_EN).expert, names, one

    events, answer, routed, names, title = await anyio.to_thread.run_sync(use)
    assert (routed, names, title) == ("legal", list(catalog.names), "Medical")
    kinds = list(dict.fromkeys(type(event) for event in events))
    assert kinds == [DecisionMade, ExpertStart, Delta, ExpertFinish, Final]
    assert answer.content == "".join(e.text for e in events if isinstance(e, Delta))


async def test_the_backend_is_asked_for_the_live_revision(
    client: AsyncClient, catalog: Catalog, fake_vllm: FakeVllm
) -> None:
    """The name sent to vLLM is the adapter's; the general expert is the base model itself."""
    for name in QUESTIONS:
        await client.chat(QUESTIONS[name][0])
    asked = [chat.body["model"] for chat in fake_vllm.chats]
    assert asked == [catalog.expert(name).live_revision or BASE_MODEL for name in QUESTIONS]


async def test_the_expert_reads_its_prompt_then_the_callers_instructions(
    client: AsyncClient, fake_vllm: FakeVllm
) -> None:
    """One system message opens the prompt, the expert's words before the caller's."""
    system = [Message(role=Role.SYSTEM, content=text) for text in ("Be brief.", "用中文。")]
    await client.chat([*system, *user(LEGAL_EN, "and the deposit?")])
    messages = fake_vllm.chats[0].body["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[0]["content"] == f"{prompt('legal')}\n\nBe brief.\n\n用中文。"
    assert messages[1]["content"] == LEGAL_EN


async def test_an_experts_sampling_fills_what_the_caller_leaves_open(
    client: AsyncClient, fake_vllm: FakeVllm
) -> None:
    """Without values of the caller's the expert's are sent, and nothing that neither named."""
    await client.chat(LEGAL_ZH)
    await client.chat(QUESTIONS["general"][0])
    body = fake_vllm.chats[0].body
    assert (body["max_tokens"], body["temperature"]) == (64, 0.25)
    assert body["stop"] == ["USER:", "<|eot_id|>"]
    fields = {"max_tokens", "temperature", "top_p", "seed", "stop", "presence_penalty"}
    assert not fields & set(fake_vllm.chats[1].body)


async def test_the_callers_sampling_wins(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """Each of the caller's values replaces the expert's; stop strings of both are sent once."""
    sampling = Sampling(
        max_tokens=5,
        temperature=0,
        top_p=0.5,
        presence_penalty=-1.5,
        frequency_penalty=1,
        seed=0,
        stop=("END", "USER:"),
    )
    answer = await client.chat(LEGAL_ZH, sampling=sampling)
    body = fake_vllm.chats[0].body
    assert {key: body[key] for key in ("max_tokens", "temperature", "top_p", "seed")} == {
        "max_tokens": 5,
        "temperature": 0,
        "top_p": 0.5,
        "seed": 0,
    }
    assert (body["presence_penalty"], body["frequency_penalty"]) == (-1.5, 1)
    assert body["stop"] == ["USER:", "<|eot_id|>", "END"]
    assert answer.final.finish_reason is FinishReason.LENGTH
    assert answer.final.usage.completion_tokens == 5


async def test_a_follow_up_stays_with_its_subject(client: AsyncClient) -> None:
    """A turn that says little leans on those before it; one with a subject of its own moves."""
    assert (await client.route(user(LEGAL_ZH, "那罰則呢？"))).expert == "legal"
    assert (await client.route(user(LEGAL_EN, "and what about the deadline?"))).expert == "legal"
    assert (await client.route(user(LEGAL_ZH, QUESTIONS["medical"][0]))).expert == "medical"


async def test_a_pinned_expert_answers_whatever_is_asked(client: AsyncClient) -> None:
    """`pin` leaves nothing to decide, and the decision says so."""
    answer = await client.chat(LEGAL_ZH, expert="electronics")
    assert answer.decision.experts == {"electronics": 1}
    assert (answer.decision.stage, answer.decision.reason) == ("pinned", "PINNED")
    assert answer.experts[0].expert == "electronics"


async def test_only_allowed_experts_are_considered(client: AsyncClient) -> None:
    """`allow` and `deny` take experts out before probabilities are read."""
    decision = await client.route(LEGAL_ZH, allow=["medical", "electronics"])
    assert set(decision.probabilities) == {"medical", "electronics"}
    assert sum(decision.probabilities.values()) == pytest.approx(1)
    denied = await client.route(LEGAL_ZH, deny=["legal"])
    assert "legal" not in denied.probabilities
    only = await client.route(LEGAL_ZH, allow=["medical", "legal"], deny=["legal"])
    assert (only.expert, only.reason) == ("medical", "ONLY_ALLOWED")


async def test_below_the_threshold_the_fallback_answers(settings: Settings) -> None:
    """The operator's threshold and fallback decide where nobody is sure enough."""
    strict = changed(settings, routing={"threshold": 1.0, "fallback": "medical"})
    async with app.running(strict) as address, AsyncClient(address, attempts=1) as client:
        decision = await client.route(LEGAL_ZH)
    assert (decision.expert, decision.reason) == ("medical", "BELOW_THRESHOLD")


async def test_an_answer_without_words(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """An expert that ends at once gives no delta and no time to a first token."""
    chunk = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    fake_vllm.next(Raw(body=chunk + b"data: [DONE]\n\n"))
    events = await ask(client, LEGAL_ZH)
    finish = events[-2]
    assert [type(event) for event in events] == [DecisionMade, ExpertStart, ExpertFinish, Final]
    assert isinstance(finish, ExpertFinish)
    assert finish.time_to_first_token is None
