"""A question's way: decided, asked, joined, and written to the log without its words."""

import logging
from typing import Any

import pytest
from msgspec.structs import replace

from tame_router.answering.dispatch import Dispatch
from tame_router.answering.event import DecisionMade, Event, Final
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.question import Question
from tame_router.answering.single import SingleJoin
from tame_router.catalog.expert import Catalog
from tame_router.catalog.live import LiveCatalog
from tame_router.chat import Message, Role, ToolCall, Usage
from tame_router.errors import BackendUnavailableError, ExpertNotFoundError
from tame_router.routing.decision import Constraints
from tame_router.routing.router import Router
from tests.answering.conftest import Events
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import HangUp
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

LEGAL = QUESTIONS["legal"][0]
QUESTION = Question(answer_id="id-12345", messages=(Message(role=Role.USER, content=LEGAL),))


@pytest.fixture(autouse=True)
def _informative(caplog: pytest.LogCaptureFixture) -> None:
    """Let the log through from INFO."""
    caplog.set_level(logging.INFO, "tame_router")


def facts(caplog: pytest.LogCaptureFixture, event: str) -> dict[str, Any]:
    """Give the facts of the one line about an event."""
    (record,) = (record for record in caplog.records if record.message == event)
    found: dict[str, Any] = record.facts  # type: ignore[attr-defined]
    return found


async def test_a_question_is_decided_asked_and_finished(
    pipeline: Pipeline, events: Events, fake_vllm: FakeVllm
) -> None:
    """The decision comes first and the final last, with the sum of what it cost."""
    await pipeline.answer(QUESTION, events.emit)
    first, last = events.seen[0], events.seen[-1]
    assert isinstance(first, DecisionMade)
    assert first.answer_id == "id-12345"
    assert first.decision.lead == "legal"
    assert isinstance(last, Final)
    assert last.usage == Usage(prompt_tokens=last.usage.prompt_tokens, completion_tokens=16)
    assert len(fake_vllm.chats) == 1


async def test_one_line_tells_of_an_answer_and_none_of_its_words(
    pipeline: Pipeline, events: Events, fake_vllm: FakeVllm, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names request, expert, revision and durations; question and answer it does not."""
    fake_vllm.text = "祕密的回答"
    await pipeline.answer(QUESTION, events.emit)
    told = facts(caplog, "answer.finished")
    assert (told["request_id"], told["expert"], told["stage"]) == ("id-12345", "legal", "fast")
    assert told["revision"].startswith("legal--")
    assert 0 < told["ttft_ms"] <= told["elapsed_ms"]
    assert (told["completion_tokens"], told["finish_reason"]) == (5, "stop")
    assert told["probability"] == round(told["probability"], 3) > 0.4
    everything = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert LEGAL not in everything
    assert fake_vllm.text not in everything


async def test_words_are_logged_for_those_who_ask(
    catalog: Catalog,
    router: Router,
    dispatch: Dispatch,
    events: Events,
    fake_vllm: FakeVllm,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With `log.texts` question and answer are one more line, and events are as without."""
    fake_vllm.text = "祕密的回答"
    talkative = Pipeline(LiveCatalog(catalog), router, SingleJoin(dispatch), log_texts=True)
    await talkative.answer(QUESTION, events.emit)
    assert facts(caplog, "answer.texts") == {
        "answer_id": "id-12345",
        "question": LEGAL,
        "answer": "祕密的回答",
    }
    assert isinstance(events.seen[-1], Final)


async def test_a_tools_result_is_not_the_question(
    catalog: Catalog,
    router: Router,
    dispatch: Dispatch,
    events: Events,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where a tool's result came last, the question in the log is still the user's."""
    call = ToolCall(id="c1", name="weather", arguments="{}")
    turns = (
        Message(role=Role.ASSISTANT, content="", tool_calls=(call,)),
        Message(role=Role.TOOL, content="26 °C", tool_call_id="c1"),
    )
    asked = replace(QUESTION, messages=(*QUESTION.messages, *turns))
    talkative = Pipeline(LiveCatalog(catalog), router, SingleJoin(dispatch), log_texts=True)
    await talkative.answer(asked, events.emit)
    assert facts(caplog, "answer.texts")["question"] == LEGAL
    assert isinstance(events.seen[0], DecisionMade)
    assert events.seen[0].decision.lead == "legal"


async def test_nobody_is_asked_when_nobody_can_be_chosen(
    pipeline: Pipeline, events: Events, fake_vllm: FakeVllm
) -> None:
    """A constraint that cannot be met ends the question before the first event."""
    nobody = Question(
        answer_id="id-12345",
        messages=QUESTION.messages,
        constraints=Constraints(pin="astrology"),
    )
    with pytest.raises(ExpertNotFoundError):
        await pipeline.answer(nobody, events.emit)
    assert events.seen == []
    assert fake_vllm.received == []


async def test_a_failure_has_no_final(
    pipeline: Pipeline, events: Events, fake_vllm: FakeVllm, caplog: pytest.LogCaptureFixture
) -> None:
    """When the expert fails what was emitted stays, and nothing says that it is finished."""
    fake_vllm.next(HangUp())
    with pytest.raises(BackendUnavailableError):
        await pipeline.answer(QUESTION, events.emit)
    assert isinstance(events.seen[0], DecisionMade)
    assert not any(isinstance(event, Final) for event in events.seen)
    assert not [record for record in caplog.records if record.message == "answer.finished"]


async def test_a_caller_who_cannot_take_an_event_stops_the_answer(
    pipeline: Pipeline, fake_vllm: FakeVllm
) -> None:
    """An error of the place where events go comes out, and nobody is asked in vain."""

    async def refuse(event: Event) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await pipeline.answer(QUESTION, refuse)
    assert fake_vllm.chats == []


async def test_another_router_decides_from_the_next_question_on(
    catalog: Catalog, router: Router, dispatch: Dispatch
) -> None:
    """A question that began with fewer experts than it knows is decided among those."""
    fewer = Catalog({name: catalog.expert(name) for name in ("electronics", "general", "medical")})
    live = LiveCatalog(fewer)
    pipeline = Pipeline(live, router, SingleJoin(dispatch))
    pipeline.adopt(router)
    decision = await pipeline.route(QUESTION.messages, Constraints(), catalog=fewer)
    assert {one.expert for one in decision.probabilities} == set(fewer.names)
    with pytest.raises(ExpertNotFoundError):
        await pipeline.route(QUESTION.messages, Constraints(pin="legal"), catalog=fewer)
    live.describe(catalog)
    assert (await pipeline.route(QUESTION.messages, Constraints())).lead == "legal"
    seen = frozenset(("general", "legal"))
    decision = await pipeline.route(QUESTION.messages, Constraints(), visible=seen, catalog=fewer)
    assert decision.lead == "general"
