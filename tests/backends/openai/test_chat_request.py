"""Questions are spelt as OpenAI's API spells them, and only what is set is said."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tame_router.backends.backend import Generation
from tame_router.backends.openai.chat_request import encode_chat, encode_tokenize
from tame_router.chat import (
    Format,
    Message,
    ResponseFormat,
    Role,
    Sampling,
    Shape,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
)
from tame_router.errors import InvalidRequestError
from tests.fakes.generations import generation

MESSAGES = (Message(role=Role.USER, content="MOSFET 的 gate driver 要怎麼選?"),)
WIRE_MESSAGES = [{"role": "user", "content": "MOSFET 的 gate driver 要怎麼選?"}]
SCHEMA = '{ "type": "object",\n "properties": {"a": {"type": "integer"}} }'


def asked(
    sampling: Sampling | None = None,
    messages: tuple[Message, ...] = MESSAGES,
    **shape: Any,
) -> Generation:
    """Ask a question."""
    return replace(
        generation(shape=Shape(**shape)), messages=messages, sampling=sampling or Sampling()
    )


def body_of(**shape: Any) -> dict[str, Any]:
    """Give what a shape adds to a plain body."""
    body: dict[str, Any] = json.loads(encode_chat("m", asked(**shape)))
    return {key: body[key] for key in body if key not in json.loads(encode_chat("m", asked()))}


def test_request_asks_for_a_stream_with_usage() -> None:
    """A request without sampling must hold the model, the messages and the stream options only."""
    assert json.loads(encode_chat("legal--1", asked())) == {
        "model": "legal--1",
        "messages": WIRE_MESSAGES,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_every_sampling_value_is_sent() -> None:
    """Values that are given, zero among them, must reach the server."""
    sampling = Sampling(
        max_tokens=5,
        temperature=0.0,
        top_p=0.5,
        presence_penalty=0.0,
        frequency_penalty=-1.0,
        seed=0,
        stop=("USER:",),
    )
    body = json.loads(encode_chat("m", asked(sampling)))
    assert {key: body[key] for key in body if key not in {"messages", "model"}} == {
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
        "temperature": 0.0,
        "top_p": 0.5,
        "presence_penalty": 0.0,
        "frequency_penalty": -1.0,
        "seed": 0,
        "stop": ["USER:"],
    }


def test_half_a_character_is_the_callers_fault() -> None:
    """Text that is no UTF-8 must be refused as an invalid request, without quoting it."""
    with pytest.raises(InvalidRequestError) as caught:
        encode_chat("m", asked(messages=(Message(role=Role.USER, content="secret \ud83d"),)))
    assert caught.value.field == "messages"
    assert "secret" not in caught.value.message


def test_tool_turns_are_openais() -> None:
    """Calls and their results must be spelt as OpenAI does, with null where nothing was said."""
    call = ToolCall(id="call-1", name="weather", arguments='{"city":')
    messages = (
        *MESSAGES,
        Message(role=Role.ASSISTANT, content="", tool_calls=(call,)),
        Message(role=Role.TOOL, content="26 °C", tool_call_id="call-1"),
        Message(role=Role.ASSISTANT, content="Let me see.", tool_calls=(call,)),
    )
    function = {"name": "weather", "arguments": '{"city":'}
    calls = [{"id": "call-1", "type": "function", "function": function}]
    assert json.loads(encode_chat("m", asked(messages=messages)))["messages"] == [
        *WIRE_MESSAGES,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "content": "26 °C", "tool_call_id": "call-1"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": calls},
    ]


def test_tools_are_sent_as_they_were_given() -> None:
    """Only what a tool says is sent; one that takes nothing says so."""
    tools = (
        Tool(name="a", description="d", parameters=SCHEMA, strict=True),
        Tool(name="b"),
    )
    nothing: Any = {"type": "object", "properties": {}, "const": {}}
    assert body_of(tools=tools, parallel_tool_calls=False) == {
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "a",
                    "description": "d",
                    "parameters": json.loads(SCHEMA),
                    "strict": True,
                },
            },
            {"type": "function", "function": {"name": "b", "parameters": nothing}},
        ],
        "parallel_tool_calls": False,
    }
    assert SCHEMA.encode() in encode_chat("m", asked(tools=tools))


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (ToolChoice(), "auto"),
        (ToolChoice(mode=ToolMode.NONE), "none"),
        (ToolChoice(mode=ToolMode.REQUIRED), "required"),
        (
            ToolChoice(mode=ToolMode.NAMED, name="a"),
            {"type": "function", "function": {"name": "a"}},
        ),
    ],
)
def test_tool_choice_has_openais_form(choice: ToolChoice, wire: Any) -> None:
    """Each mode must be the word, or the object, that OpenAI has for it."""
    assert body_of(tool_choice=choice) == {"tool_choice": wire}


@pytest.mark.parametrize(
    ("wanted", "wire"),
    [
        (ResponseFormat(), {}),
        (
            ResponseFormat(format=Format.JSON_OBJECT),
            {"response_format": {"type": "json_object"}},
        ),
        (
            ResponseFormat(format=Format.JSON_SCHEMA, name="x", schema=SCHEMA, strict=True),
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": json.loads(SCHEMA), "strict": True},
                }
            },
        ),
    ],
)
def test_response_format_has_openais_form(wanted: ResponseFormat, wire: Any) -> None:
    """Text is what there is without saying; a schema is embedded as it is."""
    assert body_of(response_format=wanted) == wire


def test_choices_and_logprobs() -> None:
    """Several answers and log-probabilities, none beside the chosen tokens among them."""
    assert body_of(choices=3) == {"n": 3}
    assert body_of(top_logprobs=0) == {"logprobs": True, "top_logprobs": 0}


@given(st.text() | st.from_type(dict[str, int | None]).map(json.dumps))
def test_no_text_breaks_out_of_its_schema(text: str) -> None:
    """Whatever is given as a schema is one JSON value of the body, or is refused."""
    wanted = ResponseFormat(format=Format.JSON_SCHEMA, name="x", schema=text)
    try:
        meant = json.loads(text)
    except ValueError:
        with pytest.raises(InvalidRequestError, match="not JSON"):
            encode_chat("m", asked(response_format=wanted))
    else:
        body = json.loads(encode_chat("m", asked(response_format=wanted)))
        assert body["model"] == "m"
        assert body["response_format"]["json_schema"]["schema"] == meant


@pytest.mark.parametrize("text", ['{}, "model": "other"', "{", '{"a":\ud83d}', "", "[1,]"])
def test_a_schema_that_is_no_json_is_refused(text: str) -> None:
    """Its text goes into the body as it is, so it must be looked over."""
    wanted = ResponseFormat(format=Format.JSON_SCHEMA, name="x", schema=text)
    with pytest.raises(InvalidRequestError, match="not JSON"):
        encode_chat("m", asked(response_format=wanted))


def test_tokenize_request_holds_the_chat_and_the_tools() -> None:
    """Counting must be asked for the same model, messages and tools."""
    assert json.loads(encode_tokenize("m", asked())) == {"model": "m", "messages": WIRE_MESSAGES}
    counted = json.loads(encode_tokenize("m", asked(tools=(Tool(name="a"),), choices=2)))
    assert counted["tools"][0]["function"]["name"] == "a"
    assert set(counted) == {"model", "messages", "tools"}
