"""Read OpenAI's messages, tools and formats into our values."""

from collections.abc import Sequence

from msgspec import Raw

from tame_router.api.openai_body import ABSENT, BodyFormat, BodyMessage, BodyTool, Choice, Part
from tame_router.chat import (
    Format,
    Message,
    ResponseFormat,
    Role,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
)
from tame_router.errors import InvalidRequestError, UnsupportedError

_ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
}
_NOTHING = (b"", b"null", b"[]")
_MODES = {mode.value: mode for mode in ToolMode if mode is not ToolMode.NAMED}
_FORMATS = {form.value: form for form in Format}


def unset(raw: Raw) -> bool:
    """Tell whether a field is absent or says nothing."""
    return raw is ABSENT or bytes(raw) in _NOTHING


def read_message(index: int, given: BodyMessage) -> Message:
    """Read a message.

    Raises:
        UnsupportedError: When it holds what experts do not read.
        InvalidRequestError: When a part of it is malformed.
    """
    at = f"messages[{index}]"
    role = _ROLES.get(given.role)
    if role is None:
        raise InvalidRequestError(
            f"{at}.role is {given.role[:40]!r}; expected one of {', '.join(_ROLES)}",
            field=f"{at}.role",
        )
    for name in ("audio", "annotations", "function_call"):
        if not unset(getattr(given, name)):
            raise UnsupportedError(
                f"{at}.{name} is not read by experts; leave it out", field=f"{at}.{name}"
            )
    if given.name and role is not Role.TOOL:
        raise UnsupportedError(
            f"{at}.name is not read by experts; say who speaks in the content", field=f"{at}.name"
        )
    return Message(
        role=role,
        content=_read_content(given.content, given.refusal, at),
        tool_calls=_read_calls(given, at),
        tool_call_id=given.tool_call_id or "",
    )


def _read_content(content: str | Sequence[Part] | None, refusal: str | None, at: str) -> str:
    if content is None:
        return refusal or ""
    if isinstance(content, str):
        return content
    return "\n".join(_read_part(part, f"{at}.content[{n}]") for n, part in enumerate(content))


def _read_part(part: Part, at: str) -> str:
    if part.type != "text":
        raise UnsupportedError(
            f"{at}.type is {part.type[:40]!r}; experts read text only: send parts of type 'text'",
            field=f"{at}.type",
        )
    if part.text is None:
        raise InvalidRequestError(f"{at}.text is missing; send it", field=f"{at}.text")
    return part.text


def _read_calls(given: BodyMessage, at: str) -> tuple[ToolCall, ...]:
    calls = []
    for number, call in enumerate(given.tool_calls or ()):
        path = f"{at}.tool_calls[{number}]"
        if call.type != "function":
            raise UnsupportedError(
                f"{path}.type is {call.type[:40]!r}; only 'function' is known",
                field=f"{path}.type",
            )
        if not call.id or not call.function.name:
            raise InvalidRequestError(
                f"{path} has an empty id or name; send it as it was answered", field=path
            )
        calls.append(
            ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
        )
    return tuple(calls)


def read_tool(index: int, given: BodyTool) -> Tool:
    """Read a tool.

    Raises:
        UnsupportedError: When it is not a function.
        InvalidRequestError: When it has no function.
    """
    at = f"tools[{index}]"
    if given.type != "function":
        raise UnsupportedError(
            f"{at}.type is {given.type[:40]!r}; only 'function' is known", field=f"{at}.type"
        )
    function = given.function
    if function is None:
        raise InvalidRequestError(f"{at}.function is missing; send it", field=f"{at}.function")
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters=read_schema(function.parameters, f"{at}.function.parameters"),
        strict=function.strict,
    )


def read_schema(raw: Raw, field: str) -> str:
    """Give the JSON text of a schema as it was sent; empty: there is none.

    Raises:
        InvalidRequestError: When it is not UTF-8.
    """
    given = bytes(raw)
    if given in {b"", b"null"}:
        return ""
    try:
        return given.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError(
            f"{field} is not UTF-8; send JSON in UTF-8", field=field
        ) from None


def read_choice(given: str | Choice | None) -> ToolChoice | None:
    """Read whether tools are called.

    Raises:
        UnsupportedError: When it names something else than a function.
        InvalidRequestError: When it is none of the known words.
    """
    if given is None:
        return None
    if isinstance(given, str):
        mode = _MODES.get(given)
        if mode is None:
            raise InvalidRequestError(
                f"tool_choice is {given[:40]!r}; expected one of {', '.join(_MODES)},"
                " or the function that must be called",
                field="tool_choice",
            )
        return ToolChoice(mode=mode)
    if given.type != "function" or given.function is None:
        raise UnsupportedError(
            f"tool_choice.type is {given.type[:40]!r}; expected 'function' and its name",
            field="tool_choice.type",
        )
    return ToolChoice(mode=ToolMode.NAMED, name=given.function.name)


def read_format(given: BodyFormat | None) -> ResponseFormat | None:
    """Read the form of the answer.

    Raises:
        InvalidRequestError: When it is none of the known ones, or its schema is missing.
    """
    if given is None:
        return None
    form = _FORMATS.get(given.type)
    if form is None:
        raise InvalidRequestError(
            f"response_format.type is {given.type[:40]!r}; expected one of {', '.join(_FORMATS)}",
            field="response_format.type",
        )
    if (form is Format.JSON_SCHEMA) != (given.json_schema is not None):
        raise InvalidRequestError(
            "response_format.json_schema goes with type json_schema, and only with it",
            field="response_format.json_schema",
        )
    if given.json_schema is None:
        return ResponseFormat(format=form)
    schema = given.json_schema
    return ResponseFormat(
        format=form,
        name=schema.name,
        schema=read_schema(schema.schema, "response_format.json_schema.schema"),
        strict=schema.strict,
    )
