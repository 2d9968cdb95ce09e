"""Digests of what was asked and what was answered, as any client can make them again. Pure.

docs/receipts.md says the same for those who write clients.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from tame_router.canonical_json import canonical_bytes, digest
from tame_router.chat import Document, Message, ResponseFormat, Shape, Tool, ToolCallDelta


def asked(
    messages: Sequence[Message], documents: Sequence[Document] = (), shape: Shape | None = None
) -> dict[str, Any]:
    """Give what was asked as a JSON value; what is empty or was not given is left out."""
    shape = shape or Shape()
    value: dict[str, Any] = {"messages": [_message(message) for message in messages]}
    if documents:
        value["documents"] = [
            _given(text=d.text, title=d.title, source=d.source) for d in documents
        ]
    if shape.tools:
        value["tools"] = [_tool(tool) for tool in shape.tools]
    if shape.tool_choice:
        choice = shape.tool_choice
        value["tool_choice"] = _given(mode=choice.mode.value, name=choice.name)
    if shape.response_format:
        value["response_format"] = _format(shape.response_format)
    if shape.choices > 1:
        value["n"] = shape.choices
    return value


def text_digest(text: str) -> str:
    """Give the SHA-256 of a text's UTF-8, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class AnswerDigest:
    """Makes the digest of an answer while its pieces pass by.

    An answer that can only be one text is digested as that text; one that was asked for with
    tools, or more than once, as the list of its choices.

    Args:
        shape: What the answer may consist of.
        keep: Keep what the digest is made of, where it could be forgotten piece by piece.
    """

    __slots__ = ("_choices", "_kept", "_text")

    def __init__(self, shape: Shape, *, keep: bool = False) -> None:
        self._text = hashlib.sha256()
        self._kept: list[str] | None = [] if keep else None
        plain = shape.choices == 1 and not shape.tools
        self._choices: dict[int, tuple[list[str], dict[int, list[str]]]] | None = (
            None if plain else {}
        )

    def add(self, text: str, choice: int = 0, calls: Sequence[ToolCallDelta] = ()) -> None:
        """Take the next piece."""
        if self._choices is None:
            self._text.update(text.encode("utf-8", "surrogatepass"))
            if self._kept is not None:
                self._kept.append(text)
            return
        texts, found = self._choices.setdefault(choice, ([], {}))
        texts.append(text)
        for piece in calls:
            call = found.setdefault(piece.index, ["", "", ""])
            for place, more in enumerate((piece.id, piece.name, piece.arguments)):
                call[place] += more

    def hexdigest(self) -> str:
        """Give the digest of what was taken, hexadecimal."""
        return self._text.hexdigest() if self._choices is None else digest(self._value())

    def canonical(self) -> str:
        """Give what the digest is made of: the text, or the canonical JSON of the choices.

        Raises:
            RuntimeError: When it was not kept.
        """
        if self._choices is not None:
            return canonical_text(self._value())
        if self._kept is None:
            raise RuntimeError("the text was not kept; make the digest with keep=True")
        return "".join(self._kept)

    def _value(self) -> list[dict[str, Any]]:
        value = []
        for _number, (texts, calls) in sorted((self._choices or {}).items()):
            made = [
                {"id": call[0], "name": call[1], "arguments": call[2]}
                for _index, call in sorted(calls.items())
            ]
            value.append(_given(content="".join(texts), tool_calls=made) or {"content": ""})
        return value


def canonical_text(value: Any) -> str:
    """Give a value's canonical JSON as text."""
    return canonical_bytes(value).decode("utf-8", "surrogatepass")


def _message(message: Message) -> dict[str, Any]:
    calls = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in message.tool_calls]
    more = _given(tool_calls=calls, tool_call_id=message.tool_call_id)
    return {"role": message.role.value, "content": message.content, **more}


def _tool(tool: Tool) -> dict[str, Any]:
    value = _given(
        name=tool.name, description=tool.description, parameters=_schema(tool.parameters)
    )
    return value if tool.strict is None else {**value, "strict": tool.strict}


def _format(wanted: ResponseFormat) -> dict[str, Any]:
    value = _given(format=wanted.format.value, name=wanted.name, schema=_schema(wanted.schema))
    return value if wanted.strict is None else {**value, "strict": wanted.strict}


def _schema(text: str) -> Any:
    """Give a schema as its JSON value, for the order of its keys says nothing; else as it is."""
    try:
        value = json.loads(text) if text else ""
        canonical_bytes(value)
    except (ValueError, RecursionError):
        return text
    return value


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
