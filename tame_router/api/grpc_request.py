"""Read what gRPC callers send into our values, and check them."""

from collections.abc import Sequence

from tame_router.api.request_rules import (
    check_experts_named,
    check_message_count,
    check_messages,
    check_sampling,
)
from tame_router.chat import Message, Role, Sampling, ToolCall
from tame_router.config import LimitSettings
from tame_router.errors import InvalidRequestError
from tame_router.routing.decision import Constraints, Join, Order
from tame_router.v1 import chat_pb2, decision_pb2

_ROLES = {
    chat_pb2.ROLE_SYSTEM: Role.SYSTEM,
    chat_pb2.ROLE_USER: Role.USER,
    chat_pb2.ROLE_ASSISTANT: Role.ASSISTANT,
    chat_pb2.ROLE_TOOL: Role.TOOL,
}
_JOINS = {
    decision_pb2.JOIN_UNSPECIFIED: None,
    decision_pb2.JOIN_SINGLE: Join.SINGLE,
    decision_pb2.JOIN_PANEL: Join.PANEL,
    decision_pb2.JOIN_SECOND_OPINION: Join.SECOND_OPINION,
    decision_pb2.JOIN_FUSE: Join.FUSE,
    decision_pb2.JOIN_VOTE: Join.VOTE,
    decision_pb2.JOIN_BEST_OF: Join.BEST_OF,
}
_ORDERS = {
    decision_pb2.ORDER_UNSPECIFIED: Order.LEAD_FIRST,
    decision_pb2.ORDER_LEAD_FIRST: Order.LEAD_FIRST,
    decision_pb2.ORDER_INTERLEAVED: Order.INTERLEAVED,
}
_SAMPLING = (
    "max_tokens",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
)

_NO_WISHES = Constraints()
_NO_SAMPLING = Sampling()


def read_messages(protos: Sequence[chat_pb2.Message], limits: LimitSettings) -> tuple[Message, ...]:
    """Read a conversation.

    Raises:
        RequestTooLargeError: When it has more messages or bytes than the limits allow.
        InvalidRequestError: When a message cannot be used, or the last is not the user's.
    """
    check_message_count(len(protos), limits)
    messages = tuple([_read_message(index, m) for index, m in enumerate(protos)])
    check_messages(messages, limits)
    return messages


def _read_message(index: int, proto: chat_pb2.Message) -> Message:
    role = _ROLES.get(proto.role)
    if role is None:
        raise InvalidRequestError(
            f"messages[{index}].role is {proto.role};"
            " expected ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT or ROLE_TOOL",
            field=f"messages[{index}].role",
        )
    if not proto.tool_calls:
        return Message(role=role, content=proto.content, tool_call_id=proto.tool_call_id)
    return Message(
        role=role,
        content=proto.content,
        tool_calls=tuple(
            ToolCall(id=call.id, name=call.name, arguments=call.arguments)
            for call in proto.tool_calls
        ),
        tool_call_id=proto.tool_call_id,
    )


def read_constraints(proto: decision_pb2.Constraints) -> Constraints:
    """Read a caller's wishes; whether the names exist is checked where experts are known.

    Raises:
        InvalidRequestError: When a value is out of range.
    """
    if not proto.ListFields():
        return _NO_WISHES
    if proto.join not in _JOINS:
        known = ", ".join(decision_pb2.Join.Name(join) for join in _JOINS if join)
        raise InvalidRequestError(
            f"constraints.join is {proto.join}; this server knows {known}",
            field="constraints.join",
        )
    if proto.order not in _ORDERS:
        raise InvalidRequestError(
            f"constraints.order is {proto.order}; expected ORDER_LEAD_FIRST or ORDER_INTERLEAVED",
            field="constraints.order",
        )
    max_experts = proto.max_experts if proto.HasField("max_experts") else None
    check_experts_named(proto.allow, proto.deny, max_experts, prefix="constraints.", at="allow")
    if proto.revision and not proto.pin:
        raise InvalidRequestError(
            "constraints.revision names a revision of no expert; name its expert in"
            " constraints.pin",
            field="constraints.revision",
        )
    return Constraints(
        pin=proto.pin,
        allow=frozenset(proto.allow),
        deny=frozenset(proto.deny),
        max_experts=max_experts or 0,
        join=_JOINS[proto.join],
        revision=proto.revision,
        order=_ORDERS[proto.order],
        drafts=proto.drafts,
        no_fallback=proto.no_fallback,
    )


def read_sampling(proto: chat_pb2.Sampling) -> Sampling:
    """Read how an answer is to be drawn.

    Raises:
        InvalidRequestError: When a value is out of range or not a number.
    """
    if not proto.ListFields():
        return _NO_SAMPLING
    given = {n: getattr(proto, n) for n in _SAMPLING if proto.HasField(n)}  # type: ignore[arg-type]
    sampling = Sampling(**given, stop=tuple(proto.stop))
    check_sampling(sampling, prefix="sampling.")
    return sampling
