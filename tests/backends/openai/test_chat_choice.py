"""Calls, log-probabilities and several answers, from the bytes of a stream."""

import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.backends.backend import Piece
from tame_router.backends.openai.chat_decoder import ChatDecoder
from tame_router.chat import FinishReason, Format, ResponseFormat, Shape, Tool, ToolCallDelta
from tame_router.errors import BackendProtocolError, InvalidRequestError
from tests.fakes import vllm_wire as wire
from tests.fakes.generations import generation, text_of
from tests.fakes.vllm_shape import shaped_events

TOOL = Tool(name="weather", parameters='{"type":"object"}')
WIRE_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"enum": ["台北"]}}},
        },
    }
]


def stream(**body: Any) -> bytes:
    """Write an answer as vLLM does."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "?"}], **body}
    asked["stream_options"] = {"include_usage": True}
    return b"".join(shaped_events(asked, ("依", "法", "。"), 9, 100)[0])


def pieces_of(shape: Shape, *parts: bytes) -> list[Piece]:
    """Read an answer that comes in these parts."""
    decoder = ChatDecoder(generation(shape=shape))
    pieces = [piece for part in parts for piece in decoder.feed(part)]
    assert decoder.failure is None
    assert decoder.done
    return pieces


def split(data: bytes, places: list[int]) -> list[bytes]:
    """Cut data at these places."""
    return [data[a:b] for a, b in pairwise([0, *sorted(places), len(data)])]


CALLED = stream(tools=WIRE_TOOLS, tool_choice="required")
TWO = stream(n=2, logprobs=True, top_logprobs=1)


@given(st.lists(st.integers(0, len(CALLED)), max_size=20))
def test_a_call_is_the_same_however_it_is_cut(places: list[int]) -> None:
    """Id and name must come once and first, and the arguments whole."""
    pieces = pieces_of(Shape(tools=(TOOL,)), *split(CALLED, places))
    calls = [call for piece in pieces for call in piece.tool_calls]
    assert (calls[0].index, calls[0].name) == (0, "weather")
    assert calls[0].id.startswith("chatcmpl-tool-")
    assert not any(call.id or call.name for call in calls[1:])
    assert json.loads("".join(call.arguments for call in calls)) == {"city": "台北"}
    assert [p.finish_reason for p in pieces if p.finish_reason] == [FinishReason.TOOL_CALLS]


def test_a_named_call_ends_with_tool_calls() -> None:
    """Where vLLM says `stop` of a call that was named, callers are told of the call."""
    named = {"type": "function", "function": {"name": "weather"}}
    (piece,) = pieces_of(Shape(tools=(TOOL,)), stream(tools=WIRE_TOOLS, tool_choice=named))
    assert piece.finish_reason is FinishReason.TOOL_CALLS
    assert len(piece.tool_calls) == 1


def test_a_call_that_was_cut_says_so() -> None:
    """A call whose tokens were spent must not pass as whole."""
    data = stream(tools=WIRE_TOOLS, tool_choice="required", max_tokens=2)
    (piece,) = pieces_of(Shape(tools=(TOOL,)), data)
    assert piece.finish_reason is FinishReason.LENGTH


def test_calls_at_once_are_kept_apart() -> None:
    """Pieces of several calls in one read are joined call by call, in order."""
    said = [(0, "a", "f", ""), (0, None, None, "{"), (1, "b", "g", "{}"), (0, None, None, "}")]
    calls = [
        {"index": i, "id": id_, "function": {"name": name, "arguments": text}}
        for i, id_, name, text in said
    ]
    ended = {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
    data = wire.event({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]})
    (piece,) = pieces_of(Shape(tools=(TOOL,)), data + wire.event({"choices": [ended]}) + wire.DONE)
    assert piece.tool_calls == (
        ToolCallDelta(index=0, id="a", name="f", arguments="{}"),
        ToolCallDelta(index=1, id="b", name="g", arguments="{}"),
    )


@given(st.lists(st.integers(0, len(TWO)), max_size=30))
def test_two_answers_are_kept_apart(places: list[int]) -> None:
    """Each answer has its own words, log-probabilities and end, however the bytes are cut."""
    texts: dict[int, str] = defaultdict(str)
    tokens: dict[int, list[str]] = defaultdict(list)
    reasons: dict[int, list[FinishReason]] = defaultdict(list)
    for piece in pieces_of(Shape(choices=2, top_logprobs=1), *split(TWO, places)):
        texts[piece.choice] += piece.text
        tokens[piece.choice] += [e["token"] for e in json.loads(piece.logprobs or b"[]")]
        reasons[piece.choice] += [piece.finish_reason] if piece.finish_reason else []
    assert texts == {0: "依法。", 1: "(2) 依法。"}
    assert tokens == {0: ["依", "法", "。"], 1: ["(2) ", "依", "法", "。"]}
    assert reasons == {0: [FinishReason.STOP], 1: [FinishReason.STOP]}


def test_one_read_is_one_piece_an_answer() -> None:
    """What one read brought is one piece for each answer, with the usage on the last."""
    first, second = pieces_of(Shape(choices=2, top_logprobs=1), TWO)
    assert (first.choice, second.choice) == (0, 1)
    assert first.usage is None
    assert second.usage is not None
    assert second.usage.completion_tokens == 7


def test_not_finished_before_all_answers_are() -> None:
    """The end of one answer is not the end of the stream."""
    decoder = ChatDecoder(generation(shape=Shape(choices=2)))
    first_ended = {"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}
    assert text_of(list(decoder.feed(wire.event({"choices": [first_ended]})))) == "x"
    assert not decoder.finished
    decoder.feed(wire.DONE)
    assert type(decoder.failure) is BackendProtocolError


@pytest.mark.parametrize("index", [-1, 1, 7])
def test_an_answer_nobody_asked_for_is_off_protocol(index: int) -> None:
    """A piece of a choice that was not asked for must fail."""
    decoder = ChatDecoder(generation())
    decoder.feed(wire.event({"choices": [{"index": index, "delta": {"content": "x"}}]}))
    assert type(decoder.failure) is BackendProtocolError


@pytest.mark.parametrize("logprobs", [None, {}, {"content": None}, {"content": []}])
def test_no_logprobs_are_no_logprobs(logprobs: Any) -> None:
    """Empty lists, and none, must not be handed on."""
    decoder = ChatDecoder(generation())
    choice = {"index": 0, "delta": {"content": "x"}, "logprobs": logprobs}
    (piece,) = decoder.feed(wire.event({"choices": [choice]}))
    assert piece == Piece(text="x")


def test_a_schema_that_is_none_is_told_by_its_field() -> None:
    """The real vLLM says so inside the stream, with a status of its own."""
    form = ResponseFormat(format=Format.JSON_SCHEMA, name="a", schema='{"enum":[]}')
    decoder = ChatDecoder(generation(shape=Shape(response_format=form)))
    said = "Failed to transform json schema into a grammar: enum array must not be empty"
    decoder.feed(wire.event({"error": {"message": said, "type": "BadRequestError", "code": 400}}))
    assert isinstance(decoder.failure, InvalidRequestError)
    assert decoder.failure.field == "response_format"
