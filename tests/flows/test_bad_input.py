"""What callers send wrong: each refused with a code, a reason, the field and what to do."""

import math
import re
from collections.abc import Mapping
from typing import Any

import grpc
import pytest

from tame_router import app
from tame_router.config import Settings
from tame_router.v1 import (
    chat_pb2,
    expert_service_pb2,
    expert_service_pb2_grpc,
    router_service_pb2,
    router_service_pb2_grpc,
)
from tests.fakes.vllm import FakeVllm
from tests.rich_error import RichError, rich
from tests.router_fixture import changed
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

LEGAL = QUESTIONS["legal"][0]
MIB = 2**20
USER: Mapping[str, Any] = {"role": "ROLE_USER", "content": LEGAL}
ANSWER: Mapping[str, Any] = {"role": "ROLE_ASSISTANT", "content": "好的。"}
SYSTEM: Mapping[str, Any] = {"role": "ROLE_SYSTEM", "content": "Be brief."}

Refused = tuple[str, str, str, str]
"""Code, reason, field and words of the advice, as a regular expression."""


def invalid(field: str, advice: str) -> Refused:
    """Expect the plainest refusal."""
    return "INVALID_ARGUMENT", "INVALID_REQUEST", field, advice


def large(advice: str) -> Refused:
    """Expect a refusal for size."""
    return "INVALID_ARGUMENT", "REQUEST_TOO_LARGE", "messages", advice


def says(content: str, role: int | str = "ROLE_USER") -> dict[str, Any]:
    """Give a conversation of one message."""
    return {"messages": [{"role": role, "content": content}]}


MESSAGES: Mapping[str, tuple[dict[str, Any], Refused]] = {
    "no message": ({}, invalid("messages", "send at least one")),
    "empty text": (says(""), invalid("messages[0].content", "leave the message out")),
    "spaces": (says(" \t\n\u3000"), invalid("messages[0].content", "only white space")),
    "empty text before": (
        {"messages": [{"role": "ROLE_ASSISTANT", "content": ""}, USER]},
        invalid("messages[0].content", "give it text"),
    ),
    "no role": (says(LEGAL, 0), invalid("messages[0].role", "expected ROLE_SYSTEM, ROLE_USER")),
    "unknown role": (says(LEGAL, 9), invalid("messages[0].role", "role is 9; expected ROLE_SYS")),
    "ends with an answer": (
        {"messages": [USER, ANSWER]},
        invalid("messages[1].role", "must be the user's"),
    ),
    "ends with instructions": (
        {"messages": [SYSTEM]},
        invalid("messages[0].role", "must be the user's"),
    ),
    "instructions too late": (
        {"messages": [USER, SYSTEM, USER]},
        invalid("messages[1].role", "come first"),
    ),
    "1,000 messages": (
        {"messages": [USER, ANSWER] * 499 + [USER, USER]},
        large("1000 messages, at most 256 are read; leave out or summarise"),
    ),
    "5 MiB of text": (
        says("字" * (5 * MIB // 3 + 1)),
        large("at most 1048576 are read; send"),
    ),
    "5 MiB in pieces": (
        {"messages": [{**USER, "content": "a" * (5 * MIB // 101 + 1)}] * 101},
        large(r"524\d+ bytes of text"),
    ),
}
CONSTRAINTS: Mapping[str, tuple[dict[str, Any], Refused]] = {
    "pin of nobody": (
        {"pin": "astrology"},
        ("NOT_FOUND", "EXPERT_NOT_FOUND", "", "'astrology'.*ListExperts"),
    ),
    "allow of nobody": (
        {"allow": ["legal", "astrology"]},
        ("NOT_FOUND", "EXPERT_NOT_FOUND", "", "ListExperts tells"),
    ),
    "deny of nobody": (
        {"deny": ["x" * 5000]},
        ("NOT_FOUND", "EXPERT_NOT_FOUND", "", "'x{64}'.*ListExperts"),
    ),
    "pinned and denied": (
        {"pin": "legal", "deny": ["legal"]},
        invalid("constraints", "take it out of one"),
    ),
    "everybody denied": (
        {"deny": ["electronics", "general", "legal", "medical"]},
        ("FAILED_PRECONDITION", "NO_EXPERT_ALLOWED", "", "deny fewer experts"),
    ),
    "no expert at all": ({"max_experts": 0}, invalid("constraints.max_experts", "expected 1 or")),
    "fewer than none": ({"max_experts": -1}, invalid("constraints.max_experts", "is -1")),
    "unknown order": ({"order": 9}, invalid("constraints.order", "is 9; expected ORDER_LEAD")),
    "unknown join": ({"join": 7}, invalid("constraints.join", "is 7; this server knows JOIN_SING")),
    "too many names": (
        {"allow": ["legal"] * 200, "deny": ["legal"] * 57},
        invalid("constraints.allow", "more than 256"),
    ),
}
SAMPLING: Mapping[str, tuple[dict[str, Any], Refused]] = {
    "no tokens": ({"max_tokens": 0}, invalid("sampling.max_tokens", "is 0; expected 1 or more")),
    "negative tokens": ({"max_tokens": -1}, invalid("sampling.max_tokens", "is -1; expected 1")),
    "temperature NaN": ({"temperature": math.nan}, invalid("sampling.temperature", "is nan;")),
    "temperature inf": ({"temperature": math.inf}, invalid("sampling.temperature", "is inf;")),
    "temperature 3": ({"temperature": 3}, invalid("sampling.temperature", r"expected in \[0, 2\]")),
    "temperature < 0": ({"temperature": -0.1}, invalid("sampling.temperature", "is -0.1; ")),
    "top_p 0": ({"top_p": 0}, invalid("sampling.top_p", r"is 0; expected in \(0, 1\]")),
    "top_p 1.5": ({"top_p": 1.5}, invalid("sampling.top_p", "is 1.5; expected")),
    "top_p NaN": ({"top_p": math.nan}, invalid("sampling.top_p", "is nan; expected")),
    "presence": ({"presence_penalty": 2.5}, invalid("sampling.presence_penalty", "is 2.5; expec")),
    "frequency": ({"frequency_penalty": -3}, invalid("sampling.frequency_penalty", "is -3; expe")),
    "seed": ({"seed": -1}, invalid("sampling.seed", "is -1; expected 0 or more")),
    "17 stops": (
        {"stop": [f"stop {n}" for n in range(17)]},
        invalid("sampling.stop", "has 17 strings; at most 16"),
    ),
    "empty stop": ({"stop": ["a", ""]}, invalid("sampling.stop[1]", "expected 1 to 256")),
    "long stop": ({"stop": ["a" * 257]}, invalid("sampling.stop[0]", "has 257 characters")),
}


async def end(call: Any) -> None:
    """Wait for the end of a call of either kind."""
    if isinstance(call, grpc.aio.UnaryStreamCall):
        async for _ in call:
            pass
    else:
        await call


async def call(channel: grpc.aio.Channel, method: str, **fields: Any) -> RichError:
    """Call a method of the router, and read how it was refused."""
    stub: Any = router_service_pb2_grpc.RouterServiceStub(channel)
    request = getattr(router_service_pb2, f"{method}Request")(**fields)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await end(getattr(stub, method)(request))
    return rich(caught.value)


def check(error: RichError, refused: Refused, *, text: str = LEGAL) -> None:
    """Hold a refusal against what was expected, and against what every refusal must be."""
    code, reason, field, advice = refused
    assert (error.code, error.info.reason) == (code, reason), error.message
    assert error.info.domain == "tame-router"
    assert error.info.metadata["request_id"] == error.request_id != ""
    assert error.fields == ((field,) if field else ())
    assert re.search(advice, error.message), error.message
    assert len(error.message) <= 1_000
    assert not re.search(r"Traceback|\.py\b|/(tmp|work|home|root|usr)/", error.message)
    assert text[:12] not in error.message


@pytest.mark.parametrize("method", ["Route", "Chat", "StreamChat"])
@pytest.mark.parametrize("name", list(MESSAGES))
async def test_a_conversation_that_cannot_be_read(
    channel: grpc.aio.Channel, fake_vllm: FakeVllm, name: str, method: str
) -> None:
    """Every method refuses it, before anybody is asked."""
    fields, refused = MESSAGES[name]
    error = await call(channel, method, **fields)
    check(error, refused)
    assert error.retry_s is None
    assert fake_vllm.received == []


@pytest.mark.parametrize("method", ["Route", "Chat", "StreamChat"])
@pytest.mark.parametrize("name", list(CONSTRAINTS))
async def test_constraints_that_cannot_be_met(
    channel: grpc.aio.Channel, fake_vllm: FakeVllm, name: str, method: str
) -> None:
    """Every method refuses them, before anybody is asked."""
    fields, refused = CONSTRAINTS[name]
    error = await call(channel, method, messages=[USER], constraints=fields)
    check(error, refused)
    assert error.retry_s is None
    assert fake_vllm.received == []


@pytest.mark.parametrize("method", ["Chat", "StreamChat"])
@pytest.mark.parametrize("name", list(SAMPLING))
async def test_sampling_out_of_range(
    channel: grpc.aio.Channel, fake_vllm: FakeVllm, name: str, method: str
) -> None:
    """Both methods that answer refuse it, before anybody is asked."""
    fields, refused = SAMPLING[name]
    error = await call(channel, method, messages=[USER], sampling=fields)
    check(error, refused)
    assert fake_vllm.received == []


@pytest.mark.parametrize(
    ("kind", "fields", "field", "advice"),
    [
        ("GetExpert", {"name": "astrology"}, "", "'astrology'; ListExperts"),
        ("GetExpert", {}, "name", "ListExperts tells the names"),
        ("ListExperts", {"page_size": -1}, "page_size", "expected 0 to 1000"),
        ("ListExperts", {"page_size": 1001}, "page_size", "page_size is 1001"),
    ],
)
async def test_experts_that_cannot_be_told(
    channel: grpc.aio.Channel, kind: str, fields: dict[str, Any], field: str, advice: str
) -> None:
    """The other service refuses in the same manner."""
    stub: Any = expert_service_pb2_grpc.ExpertServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(stub, kind)(getattr(expert_service_pb2, f"{kind}Request")(**fields))
    found = ("INVALID_ARGUMENT", "INVALID_REQUEST") if field else ("NOT_FOUND", "EXPERT_NOT_FOUND")
    check(rich(caught.value), (*found, field, advice))


BAD_UTF8 = router_service_pb2.RouteRequest(
    messages=[chat_pb2.Message(role=chat_pb2.ROLE_USER, content="????")]
).SerializeToString()


@pytest.mark.parametrize("path", ["Router/Route", "Router/Chat", "Router/StreamChat", "Expert/Get"])
@pytest.mark.parametrize(
    "body",
    [BAD_UTF8.replace(b"????", b"\xff\xfe\xa4\xa4"), b"\x0a\x7f", b"hello, is this HTTP?"],
    ids=["not UTF-8", "truncated", "no protobuf"],
)
async def test_bytes_that_are_no_request(channel: grpc.aio.Channel, path: str, body: bytes) -> None:
    """Bytes that do not parse are refused with a reason like everything else."""
    service, method = path.split("/")
    method = "GetExpert" if method == "Get" else method
    name = f"/tame_router.v1.{service}Service/{method}"
    raw: Any = (channel.unary_stream if method == "StreamChat" else channel.unary_unary)(name)
    if method == "GetExpert":
        body = body.replace(BAD_UTF8[:6], b"\x0a\x04")  # a name instead of a message
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await end(raw(body))
    check(rich(caught.value), invalid("", "must be valid UTF-8"))


async def test_more_bytes_than_are_read_at_all(settings: Settings) -> None:
    """A message over `max_message_bytes` is refused by gRPC itself, and the service goes on."""
    small = changed(settings, server={"max_message_bytes": 2**16})
    async with app.running(small) as address, grpc.aio.insecure_channel(address) as channel:
        error = await call(channel, "Chat", **says("a" * 100_000))
        assert error.code == "RESOURCE_EXHAUSTED"
        assert "larger than max" in error.message
        check(await call(channel, "Chat"), MESSAGES["no message"][1])


@pytest.mark.parametrize("method", ["Chat", "StreamChat"])
async def test_a_conversation_longer_than_the_context(
    channel: grpc.aio.Channel, fake_vllm: FakeVllm, method: str
) -> None:
    """The refusal says how many tokens there are, and how many fit."""
    fake_vllm.max_model_len = 100
    error = await call(channel, method, **says("契約" + "的違約金" * 100))
    refused = ("INVALID_ARGUMENT", "CONTEXT_TOO_LONG", "messages", "shorten the conversation")
    check(error, refused, text="契約的違約金的違約金的違約金")
    prompt_tokens = int(error.info.metadata["prompt_tokens"])
    assert prompt_tokens > 300
    assert error.info.metadata["context_tokens"] == "100"
    assert f"{prompt_tokens} tokens" in error.message
    assert "holds 100" in error.message


@pytest.mark.parametrize("max_tokens", [2049, 2040, 2**31 - 1])
async def test_more_tokens_than_the_context_leaves(
    channel: grpc.aio.Channel, fake_vllm: FakeVllm, max_tokens: int
) -> None:
    """A caller who insists on more than fits is told how many would; nobody is asked in vain."""
    error = await call(channel, "Chat", messages=[USER], sampling={"max_tokens": max_tokens})
    refused = (
        "INVALID_ARGUMENT",
        "CONTEXT_TOO_LONG",
        "sampling.max_tokens",
        rf"max_tokens is {max_tokens}; .* holds 2048.* at most \d+ tokens",
    )
    check(error, refused)
    assert fake_vllm.finished["stop"] == 0


async def test_strange_text_is_still_text(channel: grpc.aio.Channel, fake_vllm: FakeVllm) -> None:
    """Control characters, lone marks and long runs are answered like any other question."""
    stub: Any = router_service_pb2_grpc.RouterServiceStub(channel)
    for text in ("\x00\x1b[31m", "\u200b\ufeff", "😀" * 3_000, "a" * 100_000, "\u0301" * 50):
        fake_vllm.max_model_len = MIB
        request = router_service_pb2.ChatRequest(**says(text))
        assert (await stub.Chat(request)).content
