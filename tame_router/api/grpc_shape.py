"""Read what an answer may consist of and rest on into our values, and check it."""

from collections.abc import Sequence

from tame_router.api.request_rules import check_documents, check_user
from tame_router.api.shape_rules import check_shape
from tame_router.chat import Document, Format, ResponseFormat, Shape, Tool, ToolChoice, ToolMode
from tame_router.config import LimitSettings
from tame_router.errors import InvalidRequestError
from tame_router.v1 import chat_pb2, router_service_pb2

UNNAMED_SCHEMA = "answer"
"""Name of a schema that its caller gave none."""

_MODES = {
    chat_pb2.TOOL_MODE_UNSPECIFIED: ToolMode.AUTO,
    chat_pb2.TOOL_MODE_AUTO: ToolMode.AUTO,
    chat_pb2.TOOL_MODE_NONE: ToolMode.NONE,
    chat_pb2.TOOL_MODE_REQUIRED: ToolMode.REQUIRED,
    chat_pb2.TOOL_MODE_NAMED: ToolMode.NAMED,
}
_FORMATS = {
    chat_pb2.FORMAT_UNSPECIFIED: Format.TEXT,
    chat_pb2.FORMAT_TEXT: Format.TEXT,
    chat_pb2.FORMAT_JSON_OBJECT: Format.JSON_OBJECT,
    chat_pb2.FORMAT_JSON_SCHEMA: Format.JSON_SCHEMA,
}
_PLAIN = Shape()
_FIELDS = frozenset(
    {
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "choices",
        "top_logprobs",
    }
)

Request = router_service_pb2.ChatRequest | router_service_pb2.StreamChatRequest


def read_shape(request: Request) -> Shape:
    """Read what an answer may consist of.

    Raises:
        RequestTooLargeError: When there are too many tools, or a schema is too long.
        InvalidRequestError: When a part is malformed, out of range, or contradicts another.
    """
    # Most requests ask for plain text, and pay for one look.
    if _FIELDS.isdisjoint([field.name for field, _ in request.ListFields()]):
        return _PLAIN
    parallel, top = request.HasField("parallel_tool_calls"), request.HasField("top_logprobs")
    shape = Shape(
        tools=tuple(map(_read_tool, request.tools)),
        tool_choice=_read_choice(request.tool_choice) if request.HasField("tool_choice") else None,
        parallel_tool_calls=request.parallel_tool_calls if parallel else None,
        response_format=_read_format(request.response_format)
        if request.HasField("response_format")
        else None,
        choices=request.choices or 1,
        top_logprobs=request.top_logprobs if top else None,
    )
    check_shape(shape)
    return shape


def read_documents(
    protos: Sequence[chat_pb2.Document], limits: LimitSettings
) -> tuple[Document, ...]:
    """Read the texts that an answer is to rest on.

    Raises:
        RequestTooLargeError: When there are more of them, or more bytes, than are read.
        InvalidRequestError: When one is empty, or its title or source is too long.
    """
    if not protos:
        return ()
    documents = tuple(Document(text=d.text, title=d.title, source=d.source) for d in protos)
    check_documents(documents, limits)
    return documents


def read_user(user: str) -> str:
    """Read the caller's own name for the person that asks.

    Raises:
        InvalidRequestError: When it is too long to be kept.
    """
    check_user(user)
    return user


def _read_tool(proto: chat_pb2.Tool) -> Tool:
    return Tool(
        name=proto.name,
        description=proto.description,
        parameters=proto.parameters,
        strict=proto.strict if proto.HasField("strict") else None,
    )


def _read_choice(proto: chat_pb2.ToolChoice) -> ToolChoice:
    mode = _MODES.get(proto.mode)
    if mode is None:
        raise InvalidRequestError(
            f"tool_choice.mode is {proto.mode}; expected TOOL_MODE_AUTO, TOOL_MODE_NONE,"
            " TOOL_MODE_REQUIRED or TOOL_MODE_NAMED",
            field="tool_choice.mode",
        )
    return ToolChoice(mode=mode, name=proto.name if mode is ToolMode.NAMED else "")


def _read_format(proto: chat_pb2.ResponseFormat) -> ResponseFormat:
    form = _FORMATS.get(proto.format)
    if form is None:
        raise InvalidRequestError(
            f"response_format.format is {proto.format}; expected FORMAT_TEXT, FORMAT_JSON_OBJECT"
            " or FORMAT_JSON_SCHEMA",
            field="response_format.format",
        )
    if form is not Format.JSON_SCHEMA:
        return ResponseFormat(format=form)
    return ResponseFormat(
        format=form,
        name=proto.name or UNNAMED_SCHEMA,
        schema=proto.schema,
        strict=proto.strict if proto.HasField("strict") else None,
    )
