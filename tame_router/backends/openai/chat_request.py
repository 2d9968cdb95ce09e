"""The body of a question as OpenAI's API spells it: messages, tools, and the answer's shape.

Only what is set is written, so that a plain question costs what it did before there were
tools. JSON texts (schemas) are looked over once and copied in as they are.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from typing import Any, Final, Literal

import msgspec

from tame_router.backends.backend import Generation
from tame_router.chat import Format, Message, ResponseFormat, Shape, Tool, ToolChoice, ToolMode
from tame_router.errors import InvalidRequestError


class WireFunction(msgspec.Struct, frozen=True, gc=False):
    """Which function was called, with which arguments, as JSON text."""

    name: str
    arguments: str


class WireCall(msgspec.Struct, frozen=True, gc=False):
    """A call that an assistant's turn wanted."""

    id: str
    function: WireFunction
    type: Literal["function"] = "function"


class WireMessage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A turn; `content` is null only where there are calls alone."""

    role: str
    content: str | None
    tool_calls: tuple[WireCall, ...] = ()
    tool_call_id: str = ""


class WireToolFunction(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A function that may be called."""

    name: str
    description: str = ""
    parameters: msgspec.Raw
    strict: bool | None = None


class WireTool(msgspec.Struct, frozen=True):
    """A tool; functions are the only kind."""

    function: WireToolFunction
    type: Literal["function"] = "function"


class WireName(msgspec.Struct, frozen=True):
    """The function that must be called."""

    name: str


class WireNamedChoice(msgspec.Struct, frozen=True):
    """That one function must be called."""

    function: WireName
    type: Literal["function"] = "function"


class WireSchema(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A JSON schema under its name."""

    name: str
    schema: msgspec.Raw
    strict: bool | None = None


class WireFormat(msgspec.Struct, frozen=True, omit_defaults=True):
    """The form of an answer."""

    type: str
    json_schema: WireSchema | None = None


class StreamOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a stream carries besides the answer; vLLM's own: the tokens so far in each event."""

    include_usage: bool
    continuous_usage_stats: bool = False


class ChatRequest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Body of `POST /v1/chat/completions`; what is None is not sent."""

    model: str
    messages: list[WireMessage]
    stream: bool
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    tools: list[WireTool] | None = None
    tool_choice: str | WireNamedChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: WireFormat | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    priority: int = 0


class TokenizeRequest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Body of vLLM's `POST /tokenize`."""

    model: str
    messages: list[WireMessage]
    tools: list[WireTool] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False


_USAGE_WANTED: Final = StreamOptions(include_usage=True)
_COUNT_WANTED: Final = StreamOptions(include_usage=True, continuous_usage_stats=True)
_PLAIN: Final = Shape()
_NOTHING: Final = msgspec.Raw(b'{"type":"object","properties":{},"const":{}}')
"""Said of a tool that takes no arguments: vLLM would let them be any JSON otherwise, and without
`const` a small base model fills the empty object with blanks until its tokens are spent."""

_encoder = msgspec.json.Encoder()
_skimmer = msgspec.json.Decoder(msgspec.Raw)


def encode_chat(model: str, generation: Generation, *, priority: int = 0) -> bytes:
    """Write the body that asks for a streamed answer with its usage.

    Args:
        model: Name the server knows the adapter revision, or the base model, by.
        generation: What is asked; what its sampling leaves open is left to the server.
        priority: vLLM's: lower goes first; 0 is not sent.

    Raises:
        InvalidRequestError: When a text cannot be written as UTF-8, or a schema is not JSON.
    """
    sampling = generation.sampling
    return _encode(
        ChatRequest(
            model=model,
            messages=_messages(generation.messages),
            stream=True,
            stream_options=_COUNT_WANTED if generation.counted else _USAGE_WANTED,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            seed=sampling.seed,
            stop=sampling.stop,
            add_generation_prompt=not generation.continued,
            continue_final_message=generation.continued,
            priority=priority,
            **_shaping(generation.shape),
        )
    )


def encode_tokenize(model: str, generation: Generation) -> bytes:
    """Write the body that asks for the length of a prompt, its tools included.

    Raises:
        InvalidRequestError: When a text cannot be written as UTF-8, or a schema is not JSON.
    """
    return _encode(
        TokenizeRequest(
            model=model,
            messages=_messages(generation.messages),
            tools=_tools(generation.shape.tools),
            add_generation_prompt=not generation.continued,
            continue_final_message=generation.continued,
        )
    )


def _messages(messages: tuple[Message, ...]) -> list[WireMessage]:
    return [
        _tool_turn(message)
        if message.tool_calls or message.tool_call_id
        else WireMessage(message.role, message.content)
        for message in messages
    ]


def _tool_turn(message: Message) -> WireMessage:
    return WireMessage(
        message.role,
        None if message.tool_calls and not message.content else message.content,
        tuple(
            WireCall(call.id, WireFunction(call.name, call.arguments))
            for call in message.tool_calls
        ),
        message.tool_call_id,
    )


def _shaping(shape: Shape) -> dict[str, Any]:
    if shape == _PLAIN:
        return {}
    return {
        "tools": _tools(shape.tools),
        "tool_choice": _choice(shape.tool_choice),
        "parallel_tool_calls": shape.parallel_tool_calls,
        "response_format": _format(shape.response_format),
        "n": shape.choices if shape.choices > 1 else None,
        "logprobs": None if shape.top_logprobs is None else True,
        "top_logprobs": shape.top_logprobs,
    }


def _tools(tools: tuple[Tool, ...]) -> list[WireTool] | None:
    return [
        WireTool(
            WireToolFunction(
                name=tool.name,
                description=tool.description,
                parameters=_json(tool.parameters, "tools") if tool.parameters else _NOTHING,
                strict=tool.strict,
            )
        )
        for tool in tools
    ] or None


def _choice(choice: ToolChoice | None) -> str | WireNamedChoice | None:
    if choice is None:
        return None
    if choice.mode is ToolMode.NAMED:
        return WireNamedChoice(WireName(choice.name))
    return choice.mode


def _format(wanted: ResponseFormat | None) -> WireFormat | None:
    if wanted is None or wanted.format is Format.TEXT:
        return None
    if wanted.format is Format.JSON_OBJECT:
        return WireFormat(Format.JSON_OBJECT)
    schema = _json(wanted.schema, "response_format")
    return WireFormat(
        Format.JSON_SCHEMA,
        WireSchema(name=wanted.name, schema=schema, strict=wanted.strict),
    )


def _json(text: str, field: str) -> msgspec.Raw:
    """Make sure that a text is one JSON value: it is copied into the body as it is."""
    try:
        return _skimmer.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise InvalidRequestError(
            f"{field} holds a schema of {len(text)} characters that is not JSON;"
            " expected the JSON text of one JSON schema",
            field=field,
        ) from error


def _encode(body: ChatRequest | TokenizeRequest) -> bytes:
    try:
        return _encoder.encode(body)
    except UnicodeEncodeError as error:
        raise InvalidRequestError(
            "a message holds half of a surrogate pair, which is no character;"
            " expected text that can be written as UTF-8",
            field="messages",
        ) from error
