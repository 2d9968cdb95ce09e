"""Check what callers send, and turn it into our values."""

import math
from collections.abc import Sequence

from tame_router.chat import Message, Role, Sampling
from tame_router.config import LimitSettings
from tame_router.errors import InvalidRequestError, RequestTooLargeError
from tame_router.routing.decision import Constraints
from tame_router.v1 import chat_pb2, decision_pb2

MAX_STOPS = 16
MAX_STOP_CHARS = 256
MAX_EXPERTS_NAMED = 256

_ROLES = {
    chat_pb2.ROLE_SYSTEM: Role.SYSTEM,
    chat_pb2.ROLE_USER: Role.USER,
    chat_pb2.ROLE_ASSISTANT: Role.ASSISTANT,
}


def read_messages(protos: Sequence[chat_pb2.Message], limits: LimitSettings) -> tuple[Message, ...]:
    """Check a conversation.

    Raises:
        RequestTooLargeError: When it has more messages or bytes than the limits allow.
        InvalidRequestError: When a message cannot be used, or the last is not the user's.
    """
    if not protos:
        raise InvalidRequestError(
            "messages is empty; send at least one, the last the user's", field="messages"
        )
    if len(protos) > limits.max_messages:
        raise RequestTooLargeError(
            f"{len(protos)} messages, at most {limits.max_messages} are read;"
            " leave out or summarise the oldest",
            field="messages",
        )
    size = sum(len(m.content.encode()) for m in protos)
    if size > limits.max_text_bytes:
        raise RequestTooLargeError(
            f"{size} bytes of text, at most {limits.max_text_bytes} are read; send less",
            field="messages",
        )
    messages = tuple(_read_message(index, m) for index, m in enumerate(protos))
    _check_order(messages)
    return messages


def _read_message(index: int, proto: chat_pb2.Message) -> Message:
    field = f"messages[{index}]"
    role = _ROLES.get(proto.role)
    if role is None:
        raise InvalidRequestError(
            f"{field}.role is {proto.role}; expected ROLE_SYSTEM, ROLE_USER or ROLE_ASSISTANT",
            field=f"{field}.role",
        )
    if not proto.content.strip():
        raise InvalidRequestError(
            f"{field}.content is empty or only white space; leave the message out or give it text",
            field=f"{field}.content",
        )
    return Message(role=role, content=proto.content)


def _check_order(messages: Sequence[Message]) -> None:
    last = messages[-1].role
    if last is not Role.USER:
        raise InvalidRequestError(
            f"the last message is the {last}'s; it must be the user's, who asks",
            field=f"messages[{len(messages) - 1}].role",
        )
    spoken = False
    for index, message in enumerate(messages):
        if message.role is Role.SYSTEM and spoken:
            raise InvalidRequestError(
                f"messages[{index}] is a system message after the conversation began;"
                " system messages come first",
                field=f"messages[{index}].role",
            )
        spoken = spoken or message.role is not Role.SYSTEM


def read_constraints(proto: decision_pb2.Constraints) -> Constraints:
    """Check a caller's wishes; whether the names exist is checked where experts are known.

    Raises:
        InvalidRequestError: When a value is out of range.
    """
    if len(proto.allow) + len(proto.deny) > MAX_EXPERTS_NAMED:
        raise InvalidRequestError(
            f"more than {MAX_EXPERTS_NAMED} experts are named", field="constraints.allow"
        )
    if proto.join not in {decision_pb2.JOIN_UNSPECIFIED, decision_pb2.JOIN_SINGLE}:
        raise InvalidRequestError(
            f"constraints.join is {proto.join}; this server knows JOIN_SINGLE",
            field="constraints.join",
        )
    max_experts = proto.max_experts if proto.HasField("max_experts") else 0
    if proto.HasField("max_experts") and max_experts < 1:
        raise InvalidRequestError(
            f"constraints.max_experts is {max_experts}; expected 1 or more",
            field="constraints.max_experts",
        )
    return Constraints(
        pin=proto.pin,
        allow=frozenset(proto.allow),
        deny=frozenset(proto.deny),
        max_experts=max_experts,
    )


_RANGES = (
    ("temperature", 0.0, 2.0, "in [0, 2]"),
    ("top_p", math.ulp(0.0), 1.0, "in (0, 1]"),
    ("presence_penalty", -2.0, 2.0, "in [-2, 2]"),
    ("frequency_penalty", -2.0, 2.0, "in [-2, 2]"),
    ("max_tokens", 1, 2**31 - 1, "1 or more"),
    ("seed", 0, 2**63 - 1, "0 or more"),
)


def read_sampling(proto: chat_pb2.Sampling) -> Sampling:
    """Check how an answer is to be drawn.

    Raises:
        InvalidRequestError: When a value is out of range or not a number.
    """
    values = {}
    for name, lowest, highest, expected in _RANGES:
        if not proto.HasField(name):  # type: ignore[arg-type]
            continue
        value = getattr(proto, name)
        # Written so that NaN, which compares false with everything, is refused too.
        if not lowest <= value <= highest:
            raise InvalidRequestError(
                f"sampling.{name} is {value:g}; expected {expected}", field=f"sampling.{name}"
            )
        values[name] = value
    if len(proto.stop) > MAX_STOPS:
        raise InvalidRequestError(
            f"sampling.stop has {len(proto.stop)} strings; at most {MAX_STOPS}",
            field="sampling.stop",
        )
    for index, stop in enumerate(proto.stop):
        if not 1 <= len(stop) <= MAX_STOP_CHARS:
            raise InvalidRequestError(
                f"sampling.stop[{index}] has {len(stop)} characters;"
                f" expected 1 to {MAX_STOP_CHARS}",
                field=f"sampling.stop[{index}]",
            )
    return Sampling(**values, stop=tuple(proto.stop))
