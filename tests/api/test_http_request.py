"""Reading bodies of chat completions: what is taken, and how each fault is named."""

import json
from typing import Any

import pytest

from tame_router.api.openai_error import STATUSES, error_body, status_of
from tame_router.api.openai_request import ChatRequest, read_chat
from tame_router.api.request_rules import MAX_JSON_BYTES, check_schema, json_depth
from tame_router.canonical_code import Code
from tame_router.chat import Format, Role, ToolMode
from tame_router.config import LimitSettings
from tame_router.errors import InvalidRequestError

LIMITS = LimitSettings(max_messages=4, max_text_bytes=1000)
BASE: dict[str, Any] = {"model": "tame-auto", "messages": [{"role": "user", "content": "hi"}]}
FUNCTION = {"name": "f", "parameters": {"type": "object"}}
TOOLS = [{"type": "function", "function": FUNCTION}]


def read(**changes: Any) -> ChatRequest:
    """Read the least body with some fields changed."""
    return read_chat(json.dumps({**BASE, **changes}).encode(), LIMITS)


def message(**fields: Any) -> dict[str, Any]:
    """Give a body's messages: one, with these fields."""
    return {"messages": [{"role": "user", "content": "hi", **fields}]}


CALLED = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SCHEMA = {"name": "s", "schema": {"type": "object"}}
NEGATIVE = {
    "name": "s",
    "schema": {"properties": {"a": {"anyOf": [{"type": "string", "minLength": -1}]}}},
}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "a"}] * 5}, "messages"),
        (message(content="字" * 400), "messages"),
        (message(role="wizard"), "messages[0].role"),
        (message(role="assistant"), "messages[0].role"),
        (message(content="  "), "messages[0].content"),
        (message(content=None), "messages[0].content"),
        (message(content=7), "messages[0].content"),
        (message(content=[{"type": "text"}]), "messages[0].content[0].text"),
        (
            message(content=[{"type": "image_url", "image_url": {"url": "x"}}]),
            "messages[0].content[0].type",
        ),
        (
            message(content=[{"type": "input_audio", "input_audio": {}}]),
            "messages[0].content[0].type",
        ),
        (message(content=[{"type": "file", "file": {}}]), "messages[0].content[0].type"),
        (message(name="lin"), "messages[0].name"),
        (message(mood="good"), "messages[0].mood"),
        (message(audio={"id": "x"}), "messages[0].audio"),
        (message(tool_calls=[CALLED]), "messages[0].tool_calls"),
        (message(role="tool"), "messages[0].tool_call_id"),
        (message(role="tool", tool_call_id="c"), "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{**CALLED, "id": ""}]}]},
            "messages[0].tool_calls[0]",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{**CALLED, "type": "x"}]}]},
            "messages[0].tool_calls[0].type",
        ),
        ({"messages": [*BASE["messages"], {"role": "system", "content": "x"}]}, "messages[1].role"),
        ({"model": None}, "model"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 10**400}, "max_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"n": 0}, "n"),
        ({"n": 17}, "n"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"stop": [""]}, "stop[0]"),
        ({"presence_penalty": -3}, "presence_penalty"),
        ({"top_logprobs": 1}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"functions": [FUNCTION]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"prediction": {}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"verbosity": "low"}, "verbosity"),
        ({"store": True}, "store"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"temprature": 1}, "temprature"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": TOOLS * 129}, "tools"),
        ({"tools": TOOLS * 2}, "tools[1].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "no space"}}]},
            "tools[0].function.name",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "description": "x" * 9000}}]},
            "tools[0].function.description",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "x"}}, "tool_choice.type"),
        (
            {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "g"}}},
            "tool_choice",
        ),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "text", "json_schema": SCHEMA}},
            "response_format.json_schema",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "s"}}},
            "response_format.json_schema.schema",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": NEGATIVE}},
            "response_format.json_schema.schema",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {**SCHEMA, "name": "?"}}},
            "response_format.json_schema.name",
        ),
        ({"user": "x" * 257}, "user"),
        ({"metadata": {"a": 1}}, "metadata[...]"),
        ({"documents": ["x"] * 65}, "documents"),
        ({"documents": ["x" * 1001]}, "documents"),
        ({"documents": [" "]}, "documents[0].text"),
        ({"documents": [{"text": "x", "title": "t" * 513}]}, "documents[0].title"),
        ({"documents": [{"body": "x"}]}, "documents[0].body"),
        ({"tame": {"join": "choir"}}, "tame.join"),
        ({"tame": {"max_experts": 0}}, "tame.max_experts"),
        ({"tame": {"experts": ["x"] * 257}}, "tame.experts"),
        ({"tame": {"pin": "x"}}, "tame.pin"),
    ],
)
def test_a_fault_is_named(changes: dict[str, Any], field: str) -> None:
    """Whatever cannot be served is refused with the path of its field, as a 400."""
    with pytest.raises(InvalidRequestError) as caught:
        read(**changes)
    assert caught.value.field == field
    assert status_of(caught.value) == 400
    assert json.loads(error_body(caught.value))["error"]["param"] == field


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"{}",
        b"\xef\xbb\xbf{}",
        b'{"model":"\xff","messages":[]}',
        b'{"model":"a","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"a","messages":[{"role":"user","content":"\\udc00"}]}',
        b'{"model":"a","messages":[{"role":"user","content":"a"}],"temperature":NaN}',
        b'{"model":"a","messages":[{"role":"user","content":"a"}],"temperature":1e999}',
        b'{"model":"a","model":"b","messages":[{"role":"user","content":"a"}]}',
        b'{"model":"a","messages":[{"role":"user","role":"user","content":"a"}]}',
        b'{"model":"a","messages":' + b"[" * 100_000,
        b'{"model":"a","messages":[{"role":"user","content":"a"}],"logit_bias":'
        + b"[" * 100_000
        + b"]" * 100_000
        + b"}",
    ],
)
def test_what_is_no_single_json_object_is_refused(body: bytes) -> None:
    """Broken, ambiguous and hostile bodies are the caller's fault, never a crash."""
    with pytest.raises(InvalidRequestError):
        read_chat(body, LIMITS)


def test_a_key_twice_is_named() -> None:
    """Two readers could take two meanings, so neither is taken: in a schema's text too."""
    twice = b'{"type":"object","type":"array"}'
    body = json.dumps({**BASE, "tools": TOOLS}).encode()
    body = body.replace(b'{"type": "object"}', twice)
    with pytest.raises(InvalidRequestError, match="'type' stands twice") as caught:
        read_chat(body, LIMITS)
    assert caught.value.field == "type"


@pytest.mark.parametrize(
    "changes",
    [
        {"logit_bias": None, "functions": None, "modalities": ["text"], "service_tier": "auto"},
        {"store": False, "metadata": {"a": "b"}, "prompt_cache_key": "x", "stop": None},
        {"temperature": 1, "seed": 0, "n": 1, "parallel_tool_calls": True},
        {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
        {"tools": TOOLS, "tool_choice": "none"},
        message(refusal=None, annotations=[], audio=None),
    ],
)
def test_what_clients_send_by_themselves_is_taken(changes: dict[str, Any]) -> None:
    """Nulls, defaults and what SDKs add change nothing about the messages."""
    assert read(**changes).messages[0].content == "hi"


def test_values_arrive() -> None:
    """Roles, formats and choices become ours."""
    found = read(
        messages=[{"role": "developer", "content": "x"}, *BASE["messages"]],
        response_format={"type": "json_object"},
        tools=TOOLS,
        tool_choice="auto",
        logprobs=True,
        safety_identifier="person",
    )
    assert [m.role for m in found.messages] == [Role.SYSTEM, Role.USER]
    assert found.shape.response_format
    assert found.shape.response_format.format is Format.JSON_OBJECT
    assert found.shape.tool_choice
    assert found.shape.tool_choice.mode is ToolMode.AUTO
    assert found.shape.top_logprobs == 0
    assert found.user == "person"


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"a":NaN}', '{"a":"\\ud800"}', "[" * 99, "x" * (MAX_JSON_BYTES + 1)]
)
def test_a_schema_that_is_none_is_refused(text: str) -> None:
    """It has to be one JSON object, short and flat enough."""
    with pytest.raises(InvalidRequestError) as caught:
        check_schema(text, field="schema")
    assert caught.value.field == "schema"


def test_depth_is_counted_outside_of_strings() -> None:
    """Brackets in strings do not count, nor do those after an escaped quote."""
    assert json_depth('{"a":["[[[", {"b\\"[[":1}]}') == 3
    assert json_depth('"' + '\\"' * 100_000) == 0


def test_every_code_has_a_status() -> None:
    """One table names them all."""
    assert set(STATUSES) == set(Code)


def test_a_length_that_is_only_called_so_is_none() -> None:
    """A property may have a keyword's name, and a value may hold anything."""
    schema = {
        "properties": {"minLength": {"type": "integer", "minimum": -5}},
        "const": {"minItems": -1},
        "enum": [{"maxLength": -1}],
        "maxLength": 0,
    }
    check_schema(json.dumps(schema), field="schema")
