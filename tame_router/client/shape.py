"""What an answer may consist of and rest on, as the SDK sends it."""

from tame_router.chat import Document, Format, ResponseFormat, Tool, ToolCall, ToolChoice, ToolMode
from tame_router.v1 import chat_pb2

_MODES = {
    ToolMode.AUTO: chat_pb2.TOOL_MODE_AUTO,
    ToolMode.NONE: chat_pb2.TOOL_MODE_NONE,
    ToolMode.REQUIRED: chat_pb2.TOOL_MODE_REQUIRED,
    ToolMode.NAMED: chat_pb2.TOOL_MODE_NAMED,
}
_FORMATS = {
    Format.TEXT: chat_pb2.FORMAT_TEXT,
    Format.JSON_OBJECT: chat_pb2.FORMAT_JSON_OBJECT,
    Format.JSON_SCHEMA: chat_pb2.FORMAT_JSON_SCHEMA,
}


def write_call(call: ToolCall) -> chat_pb2.ToolCall:
    """Write a call that an earlier answer wanted made."""
    return chat_pb2.ToolCall(id=call.id, name=call.name, arguments=call.arguments)


def write_tool(tool: Tool) -> chat_pb2.Tool:
    """Write a function that may be called."""
    return chat_pb2.Tool(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        strict=tool.strict,
    )


def write_choice(choice: ToolChoice) -> chat_pb2.ToolChoice:
    """Write whether tools are called."""
    return chat_pb2.ToolChoice(mode=_MODES[choice.mode], name=choice.name)


def write_format(form: ResponseFormat) -> chat_pb2.ResponseFormat:
    """Write the form of an answer."""
    return chat_pb2.ResponseFormat(
        format=_FORMATS[form.format], name=form.name, schema=form.schema, strict=form.strict
    )


def write_document(document: Document) -> chat_pb2.Document:
    """Write a text to rest on."""
    return chat_pb2.Document(text=document.text, title=document.title, source=document.source)
