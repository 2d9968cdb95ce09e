"""What every request may hold, whichever edge it comes by: rules on our values.

Each edge reads its own form, and names a field as its callers know it: by the prefix it gives.
"""

import json
import math
import re
from collections.abc import Collection, Sequence

from tame_router.chat import Document, Message, Role, Sampling
from tame_router.config import LimitSettings
from tame_router.errors import InvalidRequestError, RequestTooLargeError

MAX_STOPS = 16
MAX_STOP_CHARS = 256
MAX_EXPERTS_NAMED = 256
MAX_DOCUMENTS = 64
MAX_DOCUMENT_NAME_CHARS = 512
MAX_USER_CHARS = 256
MAX_JSON_BYTES = 2**16
"""Longest JSON schema, in UTF-8 bytes."""
MAX_JSON_DEPTH = 64

_RANGES = (
    ("temperature", 0.0, 2.0, "in [0, 2]"),
    ("top_p", math.ulp(0.0), 1.0, "in (0, 1]"),
    ("presence_penalty", -2.0, 2.0, "in [-2, 2]"),
    ("frequency_penalty", -2.0, 2.0, "in [-2, 2]"),
    ("max_tokens", 1, 2**31 - 1, "1 or more"),
    ("seed", 0, 2**63 - 1, "0 or more"),
)
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|([\[{])|([\]}])', re.DOTALL)


def check_message_count(count: int, limits: LimitSettings) -> None:
    """Make sure that a conversation has messages, and not too many.

    Raises:
        InvalidRequestError: When there is none.
        RequestTooLargeError: When there are more than the limits allow.
    """
    if not count:
        raise InvalidRequestError(
            "messages is empty; send at least one, the last the user's", field="messages"
        )
    if count > limits.max_messages:
        raise RequestTooLargeError(
            f"{count} messages, at most {limits.max_messages} are read;"
            " leave out or summarise the oldest",
            field="messages",
        )


def check_messages(messages: Sequence[Message], limits: LimitSettings) -> None:
    """Check a conversation: its number of messages, its bytes, each message, their order.

    Raises:
        RequestTooLargeError: When it has more messages or bytes than the limits allow.
        InvalidRequestError: When a message cannot be used, or nobody asks at its end.
    """
    check_message_count(len(messages), limits)
    size = 0
    for message in messages:
        size += len(message.content.encode())
        for call in message.tool_calls:
            size += len(call.arguments.encode())
    if size > limits.max_text_bytes:
        raise RequestTooLargeError(
            f"{size} bytes of text, at most {limits.max_text_bytes} are read; send less",
            field="messages",
        )
    for index, message in enumerate(messages):
        if not message.content.strip() and not message.tool_calls:
            raise InvalidRequestError(
                f"messages[{index}].content is empty or only white space;"
                " leave the message out or give it text",
                field=f"messages[{index}].content",
            )
    _check_order(messages)
    _check_tool_turns(messages)


def _check_order(messages: Sequence[Message]) -> None:
    last = messages[-1].role
    if last not in {Role.USER, Role.TOOL}:
        raise InvalidRequestError(
            f"the last message is the {last}'s; it must be the user's, who asks,"
            " or the result of a tool",
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


def _check_tool_turns(messages: Sequence[Message]) -> None:
    """Make sure that each result of a tool answers a call that an assistant's turn made."""
    called: set[str] = set()
    for index, message in enumerate(messages):
        if message.tool_calls and message.role is not Role.ASSISTANT:
            raise InvalidRequestError(
                f"messages[{index}] is the {message.role}'s and has tool_calls;"
                " only the assistant's turns have",
                field=f"messages[{index}].tool_calls",
            )
        called.update(call.id for call in message.tool_calls)
        if (message.role is Role.TOOL) != bool(message.tool_call_id):
            raise InvalidRequestError(
                f"messages[{index}]: a tool's message, and no other, names its call in"
                " tool_call_id",
                field=f"messages[{index}].tool_call_id",
            )
        if message.tool_call_id and message.tool_call_id not in called:
            raise InvalidRequestError(
                f"messages[{index}].tool_call_id is {message.tool_call_id[:64]!r}, and no"
                " assistant's turn before it made such a call; send that turn with its tool_calls",
                field=f"messages[{index}].tool_call_id",
            )


def check_sampling(sampling: Sampling, *, prefix: str = "") -> None:
    """Check how an answer is to be drawn.

    Args:
        sampling: The caller's values.
        prefix: What callers write before a value's name: `sampling.` or nothing.

    Raises:
        InvalidRequestError: When a value is out of range or not a number.
    """
    for name, lowest, highest, expected in _RANGES:
        value = getattr(sampling, name)
        # Written so that NaN, which compares false with everything, is refused too.
        if value is not None and not lowest <= value <= highest:
            raise InvalidRequestError(
                f"{prefix}{name} is {value:g}; expected {expected}", field=prefix + name
            )
    if len(sampling.stop) > MAX_STOPS:
        raise InvalidRequestError(
            f"{prefix}stop has {len(sampling.stop)} strings; at most {MAX_STOPS}",
            field=f"{prefix}stop",
        )
    for index, stop in enumerate(sampling.stop):
        if not 1 <= len(stop) <= MAX_STOP_CHARS:
            raise InvalidRequestError(
                f"{prefix}stop[{index}] has {len(stop)} characters; expected 1 to {MAX_STOP_CHARS}",
                field=f"{prefix}stop[{index}]",
            )


def check_experts_named(
    allow: Collection[str], deny: Collection[str], max_experts: int | None, *, prefix: str, at: str
) -> None:
    """Check a caller's wishes about who answers; whether the names exist is checked elsewhere.

    Args:
        allow: Experts that may answer.
        deny: Experts that must not.
        max_experts: Most that may be selected; None: not said.
        prefix: What callers write before a field's name.
        at: What callers call `allow`.

    Raises:
        InvalidRequestError: When there are too many names, or a number is out of range.
    """
    if len(allow) + len(deny) > MAX_EXPERTS_NAMED:
        raise InvalidRequestError(
            f"more than {MAX_EXPERTS_NAMED} experts are named", field=f"{prefix}{at}"
        )
    if max_experts is not None and not 1 <= max_experts <= MAX_EXPERTS_NAMED:
        raise InvalidRequestError(
            f"{prefix}max_experts is {max_experts}; expected 1 or more, at most"
            f" {MAX_EXPERTS_NAMED}",
            field=f"{prefix}max_experts",
        )


def check_documents(documents: Sequence[Document], limits: LimitSettings) -> None:
    """Check given documents.

    Raises:
        RequestTooLargeError: When there are more of them, or more bytes, than are read.
        InvalidRequestError: When one is empty, or its title or source is too long.
    """
    if len(documents) > MAX_DOCUMENTS:
        raise RequestTooLargeError(
            f"{len(documents)} documents, at most {MAX_DOCUMENTS} are read; send the best ones",
            field="documents",
        )
    size = sum(len(document.text.encode()) for document in documents)
    if size > limits.max_text_bytes:
        raise RequestTooLargeError(
            f"{size} bytes of documents, at most {limits.max_text_bytes} are read; send less",
            field="documents",
        )
    for index, document in enumerate(documents):
        if not document.text.strip():
            raise InvalidRequestError(
                f"documents[{index}].text is empty; leave the document out or give it text",
                field=f"documents[{index}].text",
            )
        for name in ("title", "source"):
            if len(getattr(document, name)) > MAX_DOCUMENT_NAME_CHARS:
                raise InvalidRequestError(
                    f"documents[{index}].{name} has {len(getattr(document, name))} characters;"
                    f" at most {MAX_DOCUMENT_NAME_CHARS}",
                    field=f"documents[{index}].{name}",
                )


def check_user(user: str, *, field: str = "user") -> None:
    """Check the caller's own name for the person that asks.

    Raises:
        InvalidRequestError: When it is too long to be kept.
    """
    if len(user) > MAX_USER_CHARS:
        raise InvalidRequestError(
            f"{field} has {len(user)} characters; at most {MAX_USER_CHARS}", field=field
        )


_SIZES = frozenset(
    {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
)
_VALUES = frozenset({"const", "enum", "default", "examples"})
"""Keywords of a JSON schema under which there are values, not schemas."""


def check_schema(text: str, *, field: str) -> None:
    """Check a JSON schema's text: a JSON object, neither too long nor nested too deep.

    Raises:
        RequestTooLargeError: When it is too long.
        InvalidRequestError: When it is no JSON object, or nested too deep.
    """
    size = len(text.encode())
    if size > MAX_JSON_BYTES:
        raise RequestTooLargeError(
            f"{field} has {size} bytes, at most {MAX_JSON_BYTES} are read; send a smaller schema",
            field=field,
        )
    if json_depth(text) > MAX_JSON_DEPTH:
        raise InvalidRequestError(
            f"{field} is nested deeper than {MAX_JSON_DEPTH} levels; send a flatter schema",
            field=field,
        )
    try:
        schema = json.loads(text, parse_constant=_no_constant)
        # Half a surrogate pair is no text, and no engine takes it.
        json.dumps(schema, ensure_ascii=False).encode()
    except ValueError:
        raise InvalidRequestError(
            f"{field} is not valid JSON; send a JSON schema", field=field
        ) from None
    if not isinstance(schema, dict):
        raise InvalidRequestError(
            f"{field} is not a JSON object; send a JSON schema, {{}} takes anything", field=field
        )
    _check_sizes(schema, field)


def _check_sizes(schema: object, field: str) -> None:
    """Refuse negative lengths: an engine finds them only once it has begun to answer."""
    below = [schema]
    while below:
        part = below.pop()
        if isinstance(part, list):
            below += part
        elif isinstance(part, dict):
            for name, value in part.items():
                if name in _SIZES and isinstance(value, int | float) and value < 0:
                    raise InvalidRequestError(
                        f"{field} holds {name}: {value:g}; expected 0 or more", field=field
                    )
                if name not in _VALUES:
                    below.append(value)


def json_depth(text: str) -> int:
    """Count how deep objects and arrays of a JSON text are nested, without recursion."""
    depth = deepest = 0
    for match in _BRACKET.finditer(text):
        if match[1]:
            depth += 1
            deepest = max(deepest, depth)
        elif match[2]:
            depth -= 1
    return deepest


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
