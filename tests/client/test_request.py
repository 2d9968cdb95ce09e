"""Requests of the SDK, built from plain values."""

import json
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import MethodOptions

from tame_router.chat import Message, Role, Sampling
from tame_router.client.connection import channel_options
from tame_router.client.request import chat_request, route_request
from tame_router.errors import InvalidRequestError
from tame_router.v1 import adapter_registry_service_pb2, chat_pb2, router_service_pb2


def test_a_question_is_a_conversation_of_one() -> None:
    """A plain string is the user's only message."""
    request = route_request("押金？", explain=True)
    assert [(m.role, m.content) for m in request.messages] == [(chat_pb2.ROLE_USER, "押金？")]
    assert request.explain


@pytest.mark.parametrize(
    "kind", [router_service_pb2.ChatRequest, router_service_pb2.StreamChatRequest]
)
def test_both_kinds_of_request_are_alike(
    kind: type[router_service_pb2.ChatRequest | router_service_pb2.StreamChatRequest],
) -> None:
    """A whole answer and a streamed one are asked for with the same fields."""
    conversation = [
        Message(role=Role.SYSTEM, content="Be brief."),
        Message(role=Role.USER, content="hello"),
    ]
    request: router_service_pb2.ChatRequest | router_service_pb2.StreamChatRequest
    request = chat_request(  # type: ignore[type-var]  # the variable stands for either
        kind, conversation, expert="legal", deny=("medical",), sampling=Sampling(seed=1)
    )
    assert [m.role for m in request.messages] == [chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_USER]
    assert request.constraints.pin == "legal"
    assert request.constraints.deny == ["medical"]
    assert request.sampling.seed == 1
    assert not request.sampling.HasField("temperature")


def test_without_sampling_nothing_is_said_of_it() -> None:
    """What is left out is absent, so that the expert's values stand."""
    request = chat_request(router_service_pb2.ChatRequest, "hello")
    assert not request.HasField("sampling")


def test_a_misspelt_option_is_named() -> None:
    """A keyword that nobody reads is an error of the program, told at once."""
    with pytest.raises(TypeError, match="unknown keyword exprt"):
        chat_request(router_service_pb2.ChatRequest, "hello", exprt="legal")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unknown keyword sampling"):
        route_request("hello", explain=False, sampling=Sampling())  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"sampling": Sampling(max_tokens=2**31)}, "sampling"),
        ({"sampling": Sampling(seed=2**63)}, "sampling"),
        ({"sampling": Sampling(stop=("\ud800",))}, "sampling"),
        ({"expert": "\ud800"}, "constraints"),
        ({"deny": ["\ud800"]}, "constraints"),
    ],
)
def test_a_value_that_no_request_can_hold_is_named(options: Any, field: str) -> None:
    """What cannot be sent at all is refused like what the server refuses."""
    with pytest.raises(InvalidRequestError, match=f"^{field} cannot be sent: ") as caught:
        chat_request(router_service_pb2.ChatRequest, "hello", **options)
    assert caught.value.field == field


def test_text_that_cannot_be_sent_is_named() -> None:
    """Half a surrogate pair is refused here, with the message and the place in it."""
    conversation = [Message(role=Role.USER, content=text) for text in ("fine", "ab\udcff")]
    with pytest.raises(InvalidRequestError, match=r"messages\[1\].content .*position 2") as caught:
        route_request(conversation, explain=False)
    assert caught.value.field == "messages[1].content"


def test_retries_are_grpcs_own() -> None:
    """UNAVAILABLE is tried again with back-off; one attempt means no retry policy at all.

    Of what is done with adapters only what changes nothing is.
    """
    several = json.loads(str(dict(channel_options(3))["grpc.service_config"]))
    policy = several["methodConfig"][0]["retryPolicy"]
    assert (policy["maxAttempts"], policy["retryableStatusCodes"]) == (3, ["UNAVAILABLE"])
    tried = several["methodConfig"][0]["name"]
    names = [name["service"] for name in tried if "method" not in name]
    services = ("RouterService", "ExpertService", "FeedbackService")
    assert names == [f"tame_router.v1.{service}" for service in services]
    (service,) = adapter_registry_service_pb2.DESCRIPTOR.services_by_name.values()
    harmless = MethodOptions.NO_SIDE_EFFECTS
    assert [(name["service"], name["method"]) for name in tried if "method" in name] == [
        (service.full_name, method.name)
        for method in service.methods
        if method.GetOptions().idempotency_level == harmless
    ]
    assert json.loads(str(dict(channel_options(1))["grpc.service_config"])) == {}
