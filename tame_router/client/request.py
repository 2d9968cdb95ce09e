"""Requests of the SDK, built from plain values."""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TypedDict, TypeVar, Unpack

from tame_router.chat import Message, Role, Sampling
from tame_router.errors import InvalidRequestError
from tame_router.v1 import chat_pb2, decision_pb2, router_service_pb2

Conversation = str | Sequence[Message]
"""A question, or a conversation whose last message is the user's."""

_ROLES = {
    Role.SYSTEM: chat_pb2.ROLE_SYSTEM,
    Role.USER: chat_pb2.ROLE_USER,
    Role.ASSISTANT: chat_pb2.ROLE_ASSISTANT,
}


class Choice(TypedDict, total=False):
    """Who answers.

    Attributes:
        expert: The one expert that must answer.
        allow: Experts that may answer; none: all.
        deny: Experts that must not answer.
    """

    expert: str
    allow: Collection[str]
    deny: Collection[str]


class Options(Choice, total=False):
    """Who answers, and how.

    Attributes:
        sampling: How the answer is to be drawn; what is None is left to the expert.
    """

    sampling: Sampling


ChatRequestT = TypeVar(
    "ChatRequestT", router_service_pb2.ChatRequest, router_service_pb2.StreamChatRequest
)


def route_request(
    conversation: Conversation, *, explain: bool, **choice: Unpack[Choice]
) -> router_service_pb2.RouteRequest:
    """Write a request for a decision.

    Raises:
        InvalidRequestError: When a request cannot hold a value.
    """
    return router_service_pb2.RouteRequest(
        messages=_messages(conversation), constraints=_constraints(choice), explain=explain
    )


def chat_request(
    kind: type[ChatRequestT], conversation: Conversation, **options: Unpack[Options]
) -> ChatRequestT:
    """Write a request for an answer, whole or streamed.

    Raises:
        InvalidRequestError: When a request cannot hold a value.
    """
    sampling = options.pop("sampling", None)
    return kind(
        messages=_messages(conversation),
        constraints=_constraints(options),
        sampling=None if sampling is None else _sampling(sampling),
    )


@contextmanager
def sendable(field: str) -> Iterator[None]:
    """Name the field of a value that no request can hold.

    A number can be too large for its type, and a text can hold half of a surrogate pair.

    Raises:
        InvalidRequestError: When the block raises ValueError.
    """
    try:
        yield
    except ValueError as error:
        raise InvalidRequestError(f"{field} cannot be sent: {error}", field=field) from None


def _messages(conversation: Conversation) -> list[chat_pb2.Message]:
    if isinstance(conversation, str):
        conversation = [Message(role=Role.USER, content=conversation)]
    return [_message(index, message) for index, message in enumerate(conversation)]


def _message(index: int, message: Message) -> chat_pb2.Message:
    with sendable(f"messages[{index}].content"):
        return chat_pb2.Message(role=_ROLES[message.role], content=message.content)


def _constraints(choice: Choice) -> decision_pb2.Constraints:
    unknown = set(choice) - set(Choice.__annotations__)
    if unknown:
        raise TypeError(f"unknown keyword {', '.join(sorted(unknown))}")
    with sendable("constraints"):
        return decision_pb2.Constraints(
            pin=choice.get("expert", ""), allow=choice.get("allow", ()), deny=choice.get("deny", ())
        )


def _sampling(sampling: Sampling) -> chat_pb2.Sampling:
    with sendable("sampling"):
        return chat_pb2.Sampling(
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            seed=sampling.seed,
            stop=sampling.stop,
        )


def channel_options(attempts: int) -> list[tuple[str, int | str]]:
    """Give the channel arguments: retries of UNAVAILABLE with back-off, by gRPC itself.

    A stream is tried again only while nothing of it has arrived.

    Args:
        attempts: Tries in all, 1 to 5 (gRPC's own limit); 1: no retry.

    Source: https://github.com/grpc/proposal/blob/master/A6-client-retries.md
    """
    policy = {
        "maxAttempts": attempts,
        "initialBackoff": "0.2s",
        "maxBackoff": "5s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    services = ("RouterService", "ExpertService", "FeedbackService")
    names = [{"service": f"tame_router.v1.{service}"} for service in services]
    config = {"methodConfig": [{"name": names, "retryPolicy": policy}]} if attempts > 1 else {}
    return [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.max_receive_message_length", 64 * 2**20),
        ("grpc.keepalive_time_ms", 60_000),
    ]
