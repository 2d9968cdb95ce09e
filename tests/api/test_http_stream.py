"""Answers on the HTTP wire, from scripted events: tools, choices, log-probabilities, errors."""

import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tame_router.answering.event import Delta
from tame_router.chat import Document, FinishReason, ToolCallDelta, ToolMode
from tame_router.errors import BackendFailedError, ConfigError, QuotaExceededError
from tests.scripted_desk import BEGIN, REVISION, ScriptedDesk, ending, serving_http

pytestmark = pytest.mark.anyio

ASK: Any = [{"role": "user", "content": "hello"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell it.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        "strict": True,
    },
}


def delta(text: str = "", **more: Any) -> Delta:
    """Give a piece of the scripted expert's."""
    return Delta(expert="legal", revision=REVISION, text=text, **more)


CALLS = (
    delta(tool_calls=(ToolCallDelta(index=0, id="call_1", name="weather", arguments=""),)),
    delta(tool_calls=(ToolCallDelta(index=0, arguments='{"city":'),)),
    delta(
        tool_calls=(
            ToolCallDelta(index=0, arguments='"台北"}'),
            ToolCallDelta(index=1, id="call_2", name="weather", arguments="{}"),
        )
    ),
)


async def ask(desk: ScriptedDesk, **asked: Any) -> Any:
    """Ask through the SDK; a stream is read to its end."""
    async with (
        serving_http(desk) as address,
        AsyncOpenAI(base_url=f"http://{address}/v1", api_key="any", max_retries=0) as sdk,
    ):
        given = {"model": "tame-auto", "messages": ASK, **asked}
        answer = await sdk.chat.completions.create(**given)
        return [chunk async for chunk in answer] if asked.get("stream") else answer


async def test_tool_calls_at_once() -> None:
    """Pieces of calls become whole calls; there is no content where nothing was said."""
    desk = ScriptedDesk(*BEGIN, *CALLS, *ending(FinishReason.TOOL_CALLS))
    (choice,) = (await ask(desk, tools=[TOOL], tool_choice="required")).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    found = [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls]
    assert found == [("call_1", "weather", '{"city":"台北"}'), ("call_2", "weather", "{}")]


async def test_tool_calls_streamed() -> None:
    """A call is named once, and its arguments come in pieces."""
    desk = ScriptedDesk(*BEGIN, *CALLS, *ending(FinishReason.TOOL_CALLS))
    chunks = await ask(desk, tools=[TOOL], stream=True)
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert [(c.index, c.id) for c in calls] == [
        (0, "call_1"),
        (0, None),
        (0, None),
        (1, "call_2"),
    ]
    assert "".join(c.function.arguments for c in calls[:3]) == '{"city":"台北"}'
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_several_answers() -> None:
    """Each of `n` answers has its own words and its own end."""
    texts = (delta("a", choice=0), delta("b", choice=1), delta("A", choice=0))
    desk = ScriptedDesk(*BEGIN, *texts, *ending(FinishReason.STOP, FinishReason.LENGTH))
    whole = await ask(desk, n=2)
    assert [c.message.content for c in whole.choices] == ["aA", "b"]
    assert [c.finish_reason for c in whole.choices] == ["stop", "length"]
    chunks = [chunk.choices[0] for chunk in await ask(desk, n=2, stream=True)]
    for index, text in enumerate(["aA", "b"]):
        own = [choice for choice in chunks if choice.index == index]
        assert own[0].delta.role == "assistant"
        assert "".join(choice.delta.content or "" for choice in own) == text
    assert [choice.finish_reason for choice in chunks[-2:]] == ["stop", "length"]


async def test_log_probabilities() -> None:
    """What the backend wrote of them is passed on, joined in a whole answer."""
    one = b'[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]'
    two = one.replace(b'"a"', b'"b"').replace(b"97", b"98")
    desk = ScriptedDesk(
        *BEGIN,
        delta("a", logprobs=one),
        delta("b", logprobs=two),
        *ending(FinishReason.STOP),
    )
    whole = await ask(desk, logprobs=True, top_logprobs=2)
    assert [t.token for t in whole.choices[0].logprobs.content] == ["a", "b"]
    assert desk.calls[0].question.shape.top_logprobs == 2
    chunks = await ask(desk, logprobs=True, stream=True)
    tokens = [t for c in chunks if c.choices[0].logprobs for t in c.choices[0].logprobs.content]
    assert [(t.token, t.logprob) for t in tokens] == [("a", -0.5), ("b", -0.5)]


async def test_an_answer_without_a_word_has_its_parts() -> None:
    """An empty answer still has a role, a decision, an end and the tokens."""
    desk = ScriptedDesk(*BEGIN, *ending(FinishReason.STOP, receipt="signed"))
    chunks = await ask(desk, stream=True, stream_options={"include_usage": True})
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].tame["notice"] == "careful"
    assert chunks[1].tame["receipt"] == "signed"
    assert chunks[1].choices[0].finish_reason == "stop"
    assert chunks[2].usage.total_tokens == 7
    whole = await ask(desk)
    assert whole.choices[0].message.content == ""
    assert whole.tame["receipt"] == "signed"


async def test_half_a_surrogate_pair_does_not_break_an_answer() -> None:
    """Text that is no Unicode is passed on as JSON's escape."""
    desk = ScriptedDesk(*BEGIN, delta("a\ud800b"), *ending(FinishReason.STOP))
    assert (await ask(desk)).choices[0].message.content == "a\ud800b"
    chunks = await ask(desk, stream=True)
    assert chunks[1].choices[0].delta.content == "a\ud800b"


async def test_the_request_reaches_the_desk() -> None:
    """Tools, format, documents, user and choices arrive as our values."""
    desk = ScriptedDesk(*BEGIN, *ending(FinishReason.STOP))
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    await ask(
        desk,
        messages=[
            *ASK,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": "{}"},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        parallel_tool_calls=False,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        },
        n=3,
        user="dr-lin",
        store=False,
        metadata={"a": "b"},
        extra_body={"documents": ["plain", {"text": "law", "title": "T", "source": "S"}]},
    )
    (call,) = desk.calls
    question, shape = call.question, call.question.shape
    assert (call.edge, call.operation, question.user) == ("http", "chat", "dr-lin")
    assert question.documents == (
        Document(text="plain"),
        Document(text="law", title="T", source="S"),
    )
    assert question.messages[1].tool_calls[0].name == "weather"
    assert question.messages[2].tool_call_id == "c1"
    assert shape.choices == 3
    assert shape.parallel_tool_calls is False
    assert shape.tool_choice
    assert (shape.tool_choice.mode, shape.tool_choice.name) == (ToolMode.NAMED, "weather")
    assert json.loads(shape.tools[0].parameters) == TOOL["function"]["parameters"]
    assert shape.response_format
    assert json.loads(shape.response_format.schema) == schema
    assert shape.response_format.strict is True


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ZeroDivisionError("secret"), 500, "request id"),
        (TimeoutError(), 504, "deadline"),
        (ConfigError("/srv/secret"), 500, "request id"),
        (QuotaExceededError("used up", retry_after_s=2.5), 429, "used up"),
    ],
)
async def test_errors_before_the_first_word(
    error: BaseException, status: int, words: str, stream: bool
) -> None:
    """Each has its status; what nobody expected tells nothing but where to look."""
    with pytest.raises(openai.APIStatusError) as caught:
        await ask(ScriptedDesk(*BEGIN, error=error), stream=stream)
    assert caught.value.status_code == status
    assert words in caught.value.message
    assert "secret" not in caught.value.message
    if status == 429:
        assert caught.value.response.headers["retry-after"] == "3"
        assert caught.value.response.headers["retry-after-ms"] == "2500"


async def test_an_error_after_the_first_word_is_an_event() -> None:
    """The SDK raises it with its code."""
    desk = ScriptedDesk(*BEGIN, delta("a"), error=BackendFailedError("broken"))
    with pytest.raises(openai.APIError, match="broken") as caught:
        await ask(desk, stream=True)
    assert caught.value.code == "BACKEND_FAILED"
