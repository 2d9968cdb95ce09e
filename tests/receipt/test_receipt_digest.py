"""Digests of questions and answers: the same in any language, whatever the order of keys."""

import hashlib
import json

from tame_router.canonical_json import digest
from tame_router.chat import (
    Document,
    Format,
    Message,
    ResponseFormat,
    Role,
    Shape,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    ToolMode,
)
from tame_router.receipt.digest import AnswerDigest, asked, canonical_text, text_digest

QUESTION = (Message(role=Role.USER, content="勞工被資遣可以拿多少資遣費？"),)


def test_a_plain_question_is_its_messages() -> None:
    """What docs/receipts.md shows is what is digested, byte for byte."""
    text = '{"messages":[{"content":"勞工被資遣可以拿多少資遣費？","role":"user"}]}'
    assert canonical_text(asked(QUESTION)) == text
    assert digest(asked(QUESTION)) == hashlib.sha256(text.encode()).hexdigest()


def test_everything_asked_counts() -> None:
    """Documents, tools, their choice, the format and the number of answers."""
    tool = Tool(name="f", parameters='{"b": 1, "a": 2}', strict=True)
    shape = Shape(
        tools=(tool,),
        tool_choice=ToolChoice(mode=ToolMode.NAMED, name="f"),
        response_format=ResponseFormat(
            format=Format.JSON_SCHEMA, name="s", schema="{not json", strict=False
        ),
        choices=2,
    )
    call = ToolCall(id="1", name="f", arguments="{}")
    messages = (
        *QUESTION,
        Message(role=Role.ASSISTANT, content="", tool_calls=(call,)),
        Message(role=Role.TOOL, content="4", tool_call_id="1"),
    )
    value = asked(messages, [Document(text="a", title="b")], shape)
    assert value == {
        "messages": [
            {"role": "user", "content": QUESTION[0].content},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "1", "name": "f", "arguments": "{}"}],
            },
            {"role": "tool", "content": "4", "tool_call_id": "1"},
        ],
        "documents": [{"text": "a", "title": "b"}],
        "tools": [{"name": "f", "parameters": {"a": 2, "b": 1}, "strict": True}],
        "tool_choice": {"mode": "named", "name": "f"},
        "response_format": {
            "format": "json_schema", "name": "s", "schema": "{not json", "strict": False
        },
        "n": 2,
    }  # fmt: skip
    assert json.loads(canonical_text(value)) == value


def test_a_plain_answer_is_its_text() -> None:
    """However it was cut into pieces, half a surrogate pair included."""
    made = AnswerDigest(Shape())
    for piece in ("資遣", "", "費", "\ud800"):
        made.add(piece)
    assert made.hexdigest() == text_digest("資遣費\ud800")


def test_an_answer_with_calls_is_its_choices() -> None:
    """Pieces of calls are put together, choices are in their order."""
    made = AnswerDigest(Shape(choices=2))
    made.add("b", 1)
    made.add("", 0, [ToolCallDelta(index=0, id="1", name="f", arguments="{")])
    made.add("", 0, [ToolCallDelta(index=0, arguments="}")])
    call = {"id": "1", "name": "f", "arguments": "{}"}
    assert made.hexdigest() == digest([{"tool_calls": [call]}, {"content": "b"}])
