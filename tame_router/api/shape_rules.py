"""What an answer may be asked to consist of: rules on tools, formats and choices."""

import re
from collections.abc import Sequence

from tame_router.api.request_rules import check_schema
from tame_router.chat import Format, ResponseFormat, Shape, Tool, ToolChoice, ToolMode
from tame_router.errors import InvalidRequestError, RequestTooLargeError

MAX_TOOLS = 128
MAX_DESCRIPTION_CHARS = 8_192
MAX_CHOICES = 16
MAX_TOP_LOGPROBS = 20

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME_FORM = "1 to 64 letters, digits, '_' and '-'"


def check_shape(
    shape: Shape,
    *,
    tool: str = "tools[{}]",
    json_schema: str = "response_format",
    choices: str = "choices",
) -> None:
    """Check what an answer may consist of.

    Args:
        shape: The caller's wishes.
        tool: Path of a tool's fields, as callers write it, with `{}` for its number.
        json_schema: Path of the fields of a JSON schema.
        choices: What callers call the number of answers.

    Raises:
        RequestTooLargeError: When there are too many tools, or a schema is too long.
        InvalidRequestError: When a part is malformed, out of range, or contradicts another.
    """
    _check_tools(shape.tools, tool)
    if shape.tool_choice is not None:
        _check_choice(shape.tool_choice, shape.tools)
    if shape.response_format is not None:
        _check_format(shape.response_format, json_schema)
    if not 1 <= shape.choices <= MAX_CHOICES:
        raise InvalidRequestError(
            f"{choices} is {shape.choices}; expected 1 to {MAX_CHOICES}", field=choices
        )
    if shape.top_logprobs is not None and not 0 <= shape.top_logprobs <= MAX_TOP_LOGPROBS:
        raise InvalidRequestError(
            f"top_logprobs is {shape.top_logprobs}; expected 0 to {MAX_TOP_LOGPROBS}",
            field="top_logprobs",
        )


def _check_tools(tools: Sequence[Tool], path: str) -> None:
    if len(tools) > MAX_TOOLS:
        raise RequestTooLargeError(
            f"{len(tools)} tools, at most {MAX_TOOLS} are read; send those that may be needed",
            field="tools",
        )
    names: set[str] = set()
    for index, tool in enumerate(tools):
        at = path.format(index)
        _check_name(tool.name, f"{at}.name")
        if tool.name in names:
            raise InvalidRequestError(
                f"{at}.name is {tool.name!r}, as of a tool before it; give each its own",
                field=f"{at}.name",
            )
        names.add(tool.name)
        if len(tool.description) > MAX_DESCRIPTION_CHARS:
            raise InvalidRequestError(
                f"{at}.description has {len(tool.description)} characters;"
                f" at most {MAX_DESCRIPTION_CHARS}",
                field=f"{at}.description",
            )
        if tool.parameters:
            check_schema(tool.parameters, field=f"{at}.parameters")


def _check_name(name: str, field: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidRequestError(
            f"{field} is {name[:80]!r}; expected {_NAME_FORM}",
            field=field,
        )


def _check_choice(choice: ToolChoice, tools: Sequence[Tool]) -> None:
    if choice.mode in {ToolMode.REQUIRED, ToolMode.NAMED} and not tools:
        raise InvalidRequestError(
            f"tool_choice is {choice.mode.value}, and there are no tools; send tools too",
            field="tool_choice",
        )
    if choice.mode is ToolMode.NAMED and choice.name not in {tool.name for tool in tools}:
        raise InvalidRequestError(
            f"tool_choice names {choice.name[:80]!r}, which is none of the tools; name one of them",
            field="tool_choice",
        )


def _check_format(form: ResponseFormat, path: str) -> None:
    if form.format is Format.JSON_SCHEMA:
        _check_name(form.name, f"{path}.name")
        if not form.schema:
            raise InvalidRequestError(
                f"{path}.schema is missing; send a JSON schema", field=f"{path}.schema"
            )
        check_schema(form.schema, field=f"{path}.schema")
