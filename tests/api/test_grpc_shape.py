"""What an answer may consist of: what the SDK sends arrives, and the rest is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.api.grpc_request import read_constraints, read_messages
from tame_router.api.grpc_shape import read_documents, read_shape, read_user
from tame_router.chat import (
    Document,
    Format,
    Message,
    ResponseFormat,
    Role,
    Shape,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
)
from tame_router.client.request import chat_request
from tame_router.config import LimitSettings
from tame_router.errors import InvalidRequestError, RequestTooLargeError
from tame_router.v1 import decision_pb2, router_service_pb2

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
MAYBE = st.none() | st.booleans()
SCHEMAS = st.dictionaries(TEXTS, TEXTS | st.integers() | st.lists(TEXTS), max_size=3).map(
    json.dumps
)
TOOLS = st.lists(
    st.builds(Tool, name=NAMES, description=TEXTS, parameters=SCHEMAS | st.just(""), strict=MAYBE),
    max_size=4,
    unique_by=lambda tool: tool.name,
).map(tuple)
FORMATS = (
    st.none()
    | st.sampled_from([ResponseFormat(format=f) for f in (Format.TEXT, Format.JSON_OBJECT)])
    | st.builds(
        ResponseFormat,
        format=st.just(Format.JSON_SCHEMA),
        name=NAMES,
        schema=SCHEMAS,
        strict=MAYBE,
    )
)


def choices(tools: tuple[Tool, ...]) -> st.SearchStrategy[ToolChoice | None]:
    """Draw what may be said of some tools."""
    modes = [ToolMode.AUTO, ToolMode.NONE, *([ToolMode.REQUIRED] if tools else [])]
    drawn = st.none() | st.builds(ToolChoice, mode=st.sampled_from(modes))
    if not tools:
        return drawn
    names = st.sampled_from([tool.name for tool in tools])
    return drawn | st.builds(ToolChoice, mode=st.just(ToolMode.NAMED), name=names)


SHAPES = TOOLS.flatmap(
    lambda tools: st.builds(
        Shape,
        tools=st.just(tools),
        tool_choice=choices(tools),
        parallel_tool_calls=MAYBE,
        response_format=FORMATS,
        choices=st.integers(1, 16),
        top_logprobs=st.none() | st.integers(0, 20),
    )
)
DOCUMENTS = st.lists(
    st.builds(Document, text=TEXTS.filter(str.strip), title=TEXTS, source=TEXTS), max_size=4
).map(tuple)


def request(**fields: Any) -> router_service_pb2.ChatRequest:
    """Give a request with some fields beside its message."""
    return router_service_pb2.ChatRequest(
        messages=[{"role": "ROLE_USER", "content": "hello"}],  # type: ignore[list-item]
        **fields,
    )


@given(SHAPES)
def test_shapes_arrive(shape: Shape) -> None:
    """Tools, choice, format, number of answers and probabilities are the same on the other side."""
    for kind in (router_service_pb2.ChatRequest, router_service_pb2.StreamChatRequest):
        sent = chat_request(  # type: ignore[type-var]  # the variable stands for either
            kind,
            "hello",
            tools=shape.tools,
            tool_choice=shape.tool_choice,
            parallel_tool_calls=shape.parallel_tool_calls,
            response_format=shape.response_format,
            choices=shape.choices,
            top_logprobs=shape.top_logprobs,
        )
        assert read_shape(sent) == shape  # type: ignore[arg-type]


@given(DOCUMENTS, TEXTS)
def test_documents_and_users_arrive(documents: tuple[Document, ...], user: str) -> None:
    """Texts, titles, sources and the person's name are the same on the other side."""
    sent = chat_request(router_service_pb2.ChatRequest, "hello", documents=documents, user=user)
    assert read_documents(sent.documents, LimitSettings()) == documents
    assert read_user(sent.user) == user


def test_a_plain_request_has_the_plain_shape() -> None:
    """Nothing asked for is one value, made once."""
    plain = read_shape(request(constraints={"pin": "legal"}, user="wang"))
    assert plain == Shape()
    assert plain is read_shape(request())


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), TEXTS)
def test_calls_and_their_results_arrive(call_id: str, arguments: str) -> None:
    """An earlier answer's calls, and what came of them, are a part of the conversation."""
    call = ToolCall(id=call_id, name="weather", arguments=arguments)
    messages = (
        Message(role=Role.USER, content="台北的天氣？"),
        Message(role=Role.ASSISTANT, content="", tool_calls=(call, call)),
        Message(role=Role.TOOL, content="晴", tool_call_id=call_id),
    )
    sent = chat_request(router_service_pb2.ChatRequest, messages)
    assert read_messages(sent.messages, LimitSettings()) == messages


def test_a_revision_is_of_a_pinned_expert() -> None:
    """It arrives with its expert, and without one it is refused."""
    sent = chat_request(
        router_service_pb2.ChatRequest, "hello", expert="legal", revision="legal--0123456789abcdef"
    )
    read = read_constraints(sent.constraints)
    assert (read.pin, read.revision) == ("legal", "legal--0123456789abcdef")
    with pytest.raises(InvalidRequestError, match="name its expert") as caught:
        read_constraints(decision_pb2.Constraints(revision="legal--0123456789abcdef"))
    assert caught.value.field == "constraints.revision"


def test_a_schema_without_a_name_gets_one() -> None:
    """Backends want a name; callers need not care."""
    asked = request(response_format={"format": "FORMAT_JSON_SCHEMA", "schema": "{}"})
    read = read_shape(asked)
    assert read.response_format == ResponseFormat(
        format=Format.JSON_SCHEMA, name="answer", schema="{}"
    )


WEATHER = {"name": "weather", "parameters": "{}"}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "nameless tool": ({"tools": [{}]}, "tools[0].name", "1 to 64 letters"),
    "tool twice": ({"tools": [WEATHER, WEATHER]}, "tools[1].name", "give each its own"),
    "no JSON": (
        {"tools": [{"name": "f", "parameters": "{"}]},
        "tools[0].parameters",
        "not valid JSON",
    ),
    "no object": (
        {"tools": [{"name": "f", "parameters": "[]"}]},
        "tools[0].parameters",
        "not a JSON object",
    ),
    "unknown mode": (
        {"tools": [WEATHER], "tool_choice": {"mode": 9}},
        "tool_choice.mode",
        "is 9; expected TOOL_MODE_AUTO",
    ),
    "required of nothing": (
        {"tool_choice": {"mode": "TOOL_MODE_REQUIRED"}},
        "tool_choice",
        "send tools too",
    ),
    "named other": (
        {"tools": [WEATHER], "tool_choice": {"mode": "TOOL_MODE_NAMED", "name": "x"}},
        "tool_choice",
        "name one of them",
    ),
    "unknown format": (
        {"response_format": {"format": 9}},
        "response_format.format",
        "is 9; expected FORMAT_TEXT",
    ),
    "no schema": (
        {"response_format": {"format": "FORMAT_JSON_SCHEMA"}},
        "response_format.schema",
        "send a JSON schema",
    ),
    "too many answers": ({"choices": 17}, "choices", "expected 1 to 16"),
    "fewer than none": ({"choices": -1}, "choices", "is -1"),
    "too many tokens": ({"top_logprobs": 21}, "top_logprobs", "expected 0 to 20"),
}


@pytest.mark.parametrize(("fields", "field", "words"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_asked_is_refused(fields: dict[str, Any], field: str, words: str) -> None:
    """Each mistake is named by its field, with what to send instead."""
    with pytest.raises(InvalidRequestError, match=words) as caught:
        read_shape(request(**fields))
    assert caught.value.field == field


def test_too_much_is_refused() -> None:
    """Tools, documents and names have limits."""
    many = [{"name": f"f{n}"} for n in range(129)]
    with pytest.raises(RequestTooLargeError, match="at most 128"):
        read_shape(request(tools=many))
    with pytest.raises(RequestTooLargeError, match="at most 64"):
        read_documents(request(documents=[{"text": "x"}] * 65).documents, LimitSettings())
    with pytest.raises(InvalidRequestError, match=r"documents\[0\].text is empty"):
        read_documents(request(documents=[{"title": "x"}]).documents, LimitSettings())
    with pytest.raises(InvalidRequestError, match="at most 256"):
        read_user("x" * 257)
