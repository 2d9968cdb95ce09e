"""Read the body of a chat completion into a question, or refuse it by the field's name."""

from operator import attrgetter

import msgspec

from tame_router.api.openai_body import ABSENT, REFUSED, BodyDocument, ChatBody, Extras
from tame_router.api.openai_json import decode, require_single_keys
from tame_router.api.openai_message import (
    read_choice,
    read_format,
    read_message,
    read_tool,
    unset,
)
from tame_router.api.request_rules import (
    check_documents,
    check_experts_named,
    check_message_count,
    check_messages,
    check_sampling,
    check_user,
)
from tame_router.api.shape_rules import MAX_TOOLS, check_shape
from tame_router.chat import Document, Message, Sampling, Shape
from tame_router.config import LimitSettings
from tame_router.errors import InvalidRequestError, RequestTooLargeError, UnsupportedError
from tame_router.routing.decision import Constraints, Join, Order

_DECODER = msgspec.json.Decoder(ChatBody)
_REFUSED = tuple(REFUSED)
_read_refused = attrgetter(*_REFUSED)
# Most callers set none of these: one look then says so.
_DRAWN = (
    *("max_tokens", "max_completion_tokens", "temperature", "top_p", "presence_penalty"),
    *("frequency_penalty", "seed", "stop"),
)
_read_drawn = attrgetter(*_DRAWN)
_NOT_DRAWN = (None,) * len(_DRAWN)
_SHAPING = (
    *("tools", "tool_choice", "parallel_tool_calls", "response_format", "n", "logprobs"),
    "top_logprobs",
)
_read_shaping = attrgetter(*_SHAPING)
_NOT_SHAPED = (None,) * len(_SHAPING)
_NONE_REFUSED = (ABSENT,) * len(_REFUSED)
_NO_SAMPLING = Sampling()
_NO_WISHES = Constraints()
_PLAIN = Shape()
_TEXT_ALONE = (b"", b"null", b"[]", b'["text"]')
_TIERS = (None, "auto", "default")
_JOINS = {join.value: join for join in Join}
_ORDERS = {order.value: order for order in Order}


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A checked chat completion; who answers is still as the caller wrote it.

    A struct, as what is made for each call: it costs a quarter of a dataclass that is frozen.

    Attributes:
        model: `tame-auto`, an expert's name, or `expert@revision`.
        messages: The conversation.
        constraints: What `tame` says about who answers; the model is not in it.
        sampling: The caller's values.
        shape: What the answer may consist of.
        documents: Texts the answer is to rest on.
        user: The caller's own name for the person that asks; may be empty.
        stream: The answer is sent while it is being written.
        include_usage: A stream ends with the tokens spent.
    """

    model: str
    messages: tuple[Message, ...]
    constraints: Constraints
    sampling: Sampling
    shape: Shape
    documents: tuple[Document, ...]
    user: str
    stream: bool
    include_usage: bool


def read_chat(body: bytes, limits: LimitSettings) -> ChatRequest:
    """Read and check a body.

    Raises:
        UnsupportedError: When it asks for what this service does not do.
        RequestTooLargeError: When it holds more than the limits allow.
        InvalidRequestError: When a field is missing, malformed, out of range or there twice.
    """
    given = decode(_DECODER, body)
    _refuse_unsupported(given)
    check_message_count(len(given.messages), limits)
    messages = tuple(read_message(index, m) for index, m in enumerate(given.messages))
    check_messages(messages, limits)
    documents = tuple(_read_document(document) for document in given.documents or ())
    check_documents(documents, limits)
    sampling = _read_sampling(given) if _read_drawn(given) != _NOT_DRAWN else _NO_SAMPLING
    shape = _read_shape(given) if _read_shaping(given) != _NOT_SHAPED else _PLAIN
    user = given.user or given.safety_identifier or ""
    check_user(user)
    constraints = _read_extras(given.tame, stream=bool(given.stream))
    require_single_keys(body)
    return ChatRequest(
        model=given.model,
        messages=messages,
        constraints=constraints,
        sampling=sampling,
        shape=shape,
        documents=documents,
        user=user,
        stream=bool(given.stream),
        include_usage=bool(given.stream_options and given.stream_options.include_usage),
    )


def _refuse_unsupported(given: ChatBody) -> None:
    if _read_refused(given) != _NONE_REFUSED:
        _refuse_fields(given)
    if given.modalities is not ABSENT and bytes(given.modalities) not in _TEXT_ALONE:
        raise UnsupportedError("modalities: experts write text; leave it out", field="modalities")
    if given.store:
        raise UnsupportedError("store: answers are not kept; send false", field="store")
    if given.service_tier not in _TIERS:
        raise UnsupportedError(
            f"service_tier is {given.service_tier[:40]!r}; there is one tier: send 'auto',"
            " 'default' or nothing",
            field="service_tier",
        )
    if given.stream_options is not None and not given.stream:
        raise InvalidRequestError(
            "stream_options goes with stream: true only; leave it out", field="stream_options"
        )


def _refuse_fields(given: ChatBody) -> None:
    for field, advice in REFUSED.items():
        if not unset(getattr(given, field)):
            raise UnsupportedError(
                f"{field} is not supported by this service: {advice}", field=field
            )


def _read_sampling(given: ChatBody) -> Sampling:
    longest = given.max_completion_tokens
    if longest is None:
        longest = given.max_tokens
    elif given.max_tokens not in {None, longest}:
        raise InvalidRequestError(
            f"max_tokens is {given.max_tokens} and max_completion_tokens {longest};"
            " send one of them",
            field="max_tokens",
        )
    stop = given.stop or ()
    sampling = Sampling(
        max_tokens=longest,
        temperature=given.temperature,
        top_p=given.top_p,
        presence_penalty=given.presence_penalty,
        frequency_penalty=given.frequency_penalty,
        seed=given.seed,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
    )
    check_sampling(sampling)
    return sampling


def _read_shape(given: ChatBody) -> Shape:
    if given.top_logprobs is not None and not given.logprobs:
        raise InvalidRequestError(
            "top_logprobs goes with logprobs: true only; set it, or leave top_logprobs out",
            field="top_logprobs",
        )
    tools = given.tools or ()
    if len(tools) > MAX_TOOLS:
        raise RequestTooLargeError(
            f"{len(tools)} tools, at most {MAX_TOOLS} are read; send those that may be needed",
            field="tools",
        )
    shape = Shape(
        tools=tuple(read_tool(index, tool) for index, tool in enumerate(tools)),
        tool_choice=read_choice(given.tool_choice),
        parallel_tool_calls=given.parallel_tool_calls if tools else None,
        response_format=read_format(given.response_format),
        choices=1 if given.n is None else given.n,
        top_logprobs=(given.top_logprobs or 0) if given.logprobs else None,
    )
    check_shape(
        shape,
        tool="tools[{}].function",
        json_schema="response_format.json_schema",
        choices="n",
    )
    return shape


def _read_document(given: BodyDocument | str) -> Document:
    if isinstance(given, str):
        return Document(text=given)
    return Document(text=given.text, title=given.title or "", source=given.source or "")


def _read_extras(given: Extras | None, *, stream: bool) -> Constraints:
    if given is None:
        return _NO_WISHES
    if given.join is not None and given.join not in _JOINS:
        raise InvalidRequestError(
            f"tame.join is {given.join[:40]!r}; expected one of {', '.join(_JOINS)}",
            field="tame.join",
        )
    if given.order is not None and given.order not in _ORDERS:
        raise InvalidRequestError(
            f"tame.order is {given.order[:40]!r}; expected one of {', '.join(_ORDERS)}",
            field="tame.order",
        )
    allow, deny = given.experts or (), given.deny or ()
    check_experts_named(allow, deny, given.max_experts, prefix="tame.", at="experts")
    return Constraints(
        allow=frozenset(allow),
        deny=frozenset(deny),
        max_experts=given.max_experts or 0,
        join=_JOINS[given.join] if given.join else None,
        # One message has no columns.
        order=_ORDERS[given.order] if given.order and stream else Order.LEAD_FIRST,
        drafts=bool(given.drafts),
        no_fallback=bool(given.no_fallback),
    )
