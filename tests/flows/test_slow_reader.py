"""A caller that stays and does not read: nothing piles up, and its answer ends."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import grpc.aio
import pytest

from tame_router import app
from tame_router.config import Settings
from tame_router.v1 import chat_pb2, router_service_pb2
from tests.fakes import vllm_wire as wire
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Pace, Raw, Received
from tests.joined_fixture import LEGAL
from tests.router_fixture import changed, happened, next_chat

pytestmark = pytest.mark.anyio

EVENT = wire.answer_events(BASE_MODEL, ("字" * 10_000,))[1]
LONG = Raw(body=EVENT * 2_000, chop=2**16)
"""An answer of sixty megabytes: several times what all buffers on its way hold."""


@pytest.fixture
async def sites(settings: Settings, fake_vllm: FakeVllm) -> AsyncIterator[tuple[str, str]]:
    """Give the two addresses of a router that soon leaves who does not read."""
    http: list[str] = []
    hasty = changed(settings, limits={"unread_s": 0.5})
    async with app.running(hasty, announce_http=http.append) as grpc_address:
        yield grpc_address, http[0]


async def left(fake: FakeVllm, received: Received) -> None:
    """Make sure that the backend was told to stop long before its answer was over."""
    assert await happened(received.disconnected)
    assert not received.ended.is_set()
    assert fake.finished["abort"] == 1


def asked(channel: grpc.aio.Channel) -> grpc.aio.UnaryStreamCall[Any, Any]:
    """Ask over gRPC, and read nothing yet."""
    stream = channel.unary_stream(
        "/tame_router.v1.RouterService/StreamChat",
        request_serializer=router_service_pb2.StreamChatRequest.SerializeToString,
        response_deserializer=router_service_pb2.StreamChatResponse.FromString,
    )
    request = router_service_pb2.StreamChatRequest(
        messages=[chat_pb2.Message(role=chat_pb2.ROLE_USER, content=LEGAL)],
    )
    return stream(request)


async def test_grpc(sites: tuple[str, str], fake_vllm: FakeVllm) -> None:
    """Flow control of HTTP/2 reaches the backend, which then is let go."""
    fake_vllm.next(LONG)
    async with grpc.aio.insecure_channel(sites[0]) as channel:
        call = asked(channel)
        await call.read()
        await left(fake_vllm, await next_chat(fake_vllm))
        call.cancel()


async def test_http(sites: tuple[str, str], fake_vllm: FakeVllm) -> None:
    """A socket that is not read from is full at some time; the same comes of it."""
    fake_vllm.next(LONG)
    messages = [{"role": "user", "content": "?"}]
    asks = {"model": "legal", "stream": True, "messages": messages}
    body = json.dumps(asks).encode()
    host, port = sites[1].rsplit(":", 1)
    async with await anyio.connect_tcp(host, int(port)) as stream:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        await stream.send(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        await left(fake_vllm, await next_chat(fake_vllm))


async def test_who_reads_on_reads_all(sites: tuple[str, str], fake_vllm: FakeVllm) -> None:
    """What counts is one event, not the answer: it may take much longer than that altogether."""
    fake_vllm.pace = Pace(token_s=0.05, answer_tokens=30)
    async with grpc.aio.insecure_channel(sites[0]) as channel:
        events = [event async for event in asked(channel)]
    assert events[-1].HasField("final")
    assert fake_vllm.finished["abort"] == 0
