"""The plainest join."""

import json

import pytest
from msgspec.structs import replace

from tame_router.answering.dispatch import Dispatch
from tame_router.answering.event import Delta, ExpertFinish, ExpertStart
from tame_router.answering.question import Question
from tame_router.answering.single import SingleJoin
from tame_router.catalog.expert import Catalog
from tame_router.chat import FinishReason, Message, Role, Shape, Tool, ToolChoice, ToolMode
from tame_router.errors import StreamBrokenError
from tests.answering.conftest import Events
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Cut, Pace

pytestmark = pytest.mark.anyio

QUESTION = Question(answer_id="id-12345", messages=(Message(role=Role.USER, content="hello"),))


async def test_only_the_lead_is_asked(
    dispatch: Dispatch, catalog: Catalog, fake_vllm: FakeVllm, events: Events
) -> None:
    """Of several experts the first answers, and its end is what the join gives."""
    fake_vllm.pace = Pace(first_token_s=0.01, token_s=0.001)
    experts = [catalog.expert("medical"), catalog.expert("legal")]
    finishes = await SingleJoin(dispatch).run(experts, QUESTION, "en", events.emit)
    assert [chat.body["model"] for chat in fake_vllm.chats] == [experts[0].live_revision]
    assert isinstance(events.seen[0], ExpertStart)
    assert events.seen[-1] is finishes[0]
    assert {type(event) for event in events.seen[1:-1]} == {Delta}
    assert all(event.text for event in events.seen if isinstance(event, Delta))
    finish = finishes[0]
    assert (finish.expert, finish.finish_reason) == ("medical", FinishReason.STOP)
    assert finish.notice == "See a doctor."
    assert finish.time_to_first_token_s is not None
    assert 0.005 < finish.time_to_first_token_s <= finish.elapsed_s


async def test_words_before_a_break_are_given(
    dispatch: Dispatch, catalog: Catalog, fake_vllm: FakeVllm, events: Events
) -> None:
    """A stream that breaks has given its words, and gives no finish."""
    fake_vllm.next(Cut(after_bytes=900))
    with pytest.raises(StreamBrokenError):
        await SingleJoin(dispatch).run([catalog.expert("legal")], QUESTION, "en", events.emit)
    assert any(isinstance(event, Delta) for event in events.seen)
    assert not any(isinstance(event, ExpertFinish) for event in events.seen)


async def test_calls_are_given_as_they_come(
    dispatch: Dispatch, catalog: Catalog, fake_vllm: FakeVllm, events: Events
) -> None:
    """A call's pieces are deltas, and time to the first of them is measured."""
    tool = Tool(name="weather", parameters='{"type":"object","properties":{"day":{"const":3}}}')
    shape = Shape(tools=(tool,), tool_choice=ToolChoice(mode=ToolMode.REQUIRED))
    asked = replace(QUESTION, shape=shape)
    (finish,) = await SingleJoin(dispatch).run([catalog.expert("legal")], asked, "en", events.emit)
    calls = [c for e in events.seen if isinstance(e, Delta) for c in e.tool_calls]
    assert calls[0].name == "weather"
    assert json.loads("".join(call.arguments for call in calls)) == {"day": 3}
    assert finish.finish_reason is FinishReason.TOOL_CALLS
    assert finish.time_to_first_token_s is not None


async def test_every_answer_has_its_end(
    dispatch: Dispatch, catalog: Catalog, fake_vllm: FakeVllm, events: Events
) -> None:
    """Of several answers each has its words, its log-probabilities and its reason."""
    fake_vllm.text = "是。"
    asked = replace(QUESTION, shape=Shape(choices=3, top_logprobs=0))
    (finish,) = await SingleJoin(dispatch).run([catalog.expert("legal")], asked, "en", events.emit)
    deltas = [event for event in events.seen if isinstance(event, Delta)]
    texts = ["".join(d.text for d in deltas if d.choice == choice) for choice in range(3)]
    assert texts == ["是。", "(2) 是。", "(3) 是。"]
    assert all(json.loads(delta.logprobs) for delta in deltas)
    assert finish.finish_reason is FinishReason.STOP
    assert finish.other_reasons == (FinishReason.STOP, FinishReason.STOP)
