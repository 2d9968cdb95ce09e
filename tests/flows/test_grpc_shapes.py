"""Tools, formats, several answers and probabilities over gRPC, to the backend and back."""

import json

import pytest

from tame_router.chat import (
    Document,
    FinishReason,
    Format,
    Message,
    ResponseFormat,
    Role,
    Tool,
    ToolChoice,
    ToolMode,
)
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta
from tests.fakes.vllm import FakeVllm
from tests.small_experts import QUESTIONS

pytest.importorskip("tests.fakes.vllm_shape", reason="the fake vLLM knows no tools")
pytestmark = pytest.mark.anyio

LEGAL = QUESTIONS["legal"][0]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool(name="weather", parameters=json.dumps(CITY))


async def test_a_tool_is_called_and_its_result_read(
    client: AsyncClient, fake_vllm: FakeVllm
) -> None:
    """The call comes whole, and the conversation goes on with its result."""
    required = ToolChoice(mode=ToolMode.REQUIRED)
    question = Message(role=Role.USER, content=LEGAL)
    answer = await client.chat([question], tools=[WEATHER], tool_choice=required)
    (call,) = answer.tool_calls
    assert call.name == "weather"
    assert set(json.loads(call.arguments)) == {"city"}
    assert answer.final.finish_reason is FinishReason.TOOL_CALLS
    said = Message(role=Role.ASSISTANT, content="", tool_calls=answer.tool_calls)
    result = Message(role=Role.TOOL, content="晴", tool_call_id=call.id)
    answer = await client.chat([question, said, result], tools=[WEATHER])
    assert answer.content
    assert answer.tool_calls == ()
    sent = fake_vllm.chats[-1].body["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool"]
    assert sent[-1]["tool_call_id"] == sent[-2]["tool_calls"][0]["id"] == call.id


async def test_a_streamed_call_is_put_together(client: AsyncClient) -> None:
    """The pieces of a stream are the call that `Chat` gives."""
    named = ToolChoice(mode=ToolMode.NAMED, name="weather")
    async with client.stream(LEGAL, tools=[WEATHER], tool_choice=named) as events:
        pieces = [p async for e in events if isinstance(e, Delta) for p in e.tool_calls]
    assert "".join(piece.name for piece in pieces) == "weather"
    assert set(json.loads("".join(piece.arguments for piece in pieces))) == {"city"}


async def test_an_answer_is_json_of_its_schema(client: AsyncClient) -> None:
    """The schema reaches the backend, and what it writes parses."""
    form = ResponseFormat(format=Format.JSON_SCHEMA, name="reply", schema=json.dumps(CITY))
    answer = await client.chat(LEGAL, response_format=form)
    assert set(json.loads(answer.content)) == {"city"}


async def test_several_answers_with_their_probabilities(client: AsyncClient) -> None:
    """Each of three answers has its text and the probabilities of its tokens."""
    answer = await client.chat(LEGAL, choices=3, top_logprobs=2)
    assert len(answer.choices) == 3
    for choice in answer.choices:
        assert choice.content
        assert "".join(token.token for token in choice.logprobs) == choice.content
        assert all(token.logprob <= 0 for token in choice.logprobs)


async def test_documents_stand_in_the_prompt(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """Text and title reach the expert; the person's name does not."""
    lease = Document(text="押金應於租期屆滿時返還。", title="租賃契約")
    await client.chat(LEGAL, documents=[lease], user="wang-daming")
    body = json.dumps(fake_vllm.chats[0].body, ensure_ascii=False)
    assert lease.text in body
    assert lease.title in body
    assert "wang-daming" not in body
