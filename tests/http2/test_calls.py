"""Calls by gRPC's own clients: what they see of our server is what they see of its own."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from tame_router.http2.server import Http2Server
from tests.http2.conftest import LIMITS, MOST_BYTES, SERVICE, Echo


@pytest.fixture(params=["asyncio", "grpcio"])
async def channel(request: pytest.FixtureRequest, echo: Echo) -> AsyncIterator[Any]:
    """Give a channel to a server of each kind."""
    server: Http2Server | grpc.aio.Server
    if request.param == "asyncio":
        server, listener = Http2Server(LIMITS, MOST_BYTES), socket.socket()
        listener.bind(("127.0.0.1", 0))
        server.listen(listener)
        port = listener.getsockname()[1]
    else:
        options = [("grpc.max_receive_message_length", MOST_BYTES)]
        server = grpc.aio.server(options=options)
        port = server.add_insecure_port("127.0.0.1:0")
    server.add_generic_rpc_handlers((echo.handlers(),))
    await server.start()
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as opened:
        yield opened
    await server.stop(0)


def method(name: str) -> str:
    """Give the full name of a method."""
    return f"/{SERVICE}/{name}"


@pytest.mark.parametrize("size", [0, 1, 20_000, MOST_BYTES])
async def test_a_message_goes_there_and_back(channel: Any, size: int) -> None:
    """An empty one too, and one that takes many frames and several windows."""
    message = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert await channel.unary_unary(method("Once"))(message) == message


async def test_a_stream_comes_in_order(channel: Any) -> None:
    """Each message once."""
    sent = bytes(range(256)) * 4
    got = [one async for one in channel.unary_stream(method("Many"))(sent)]
    assert b"".join(got) == sent
    assert len(got) == len(sent)


async def test_streams_go_both_ways_at_once(channel: Any) -> None:
    """A reply is read before the next request is sent."""
    call = channel.stream_stream(method("Both"))()
    for number in range(5):
        await call.write(b"%d" % number)
        assert await call.read() == b"%d" % number
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_a_long_upload_is_read(channel: Any) -> None:
    """Much more than any window."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 900_000

    assert await channel.stream_unary(method("Count"))(pieces()) == b"36000000"


async def test_many_calls_share_a_connection(channel: Any) -> None:
    """More than it may have open at once: the others wait at the client."""
    call = channel.unary_unary(method("Once"))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_once(call, b"%d" % number)) for number in range(200)]
    assert [task.result() for task in tasks] == [b"%d" % number for number in range(200)]


async def _once(call: Any, message: bytes) -> Any:
    return await call(message)


@pytest.mark.parametrize("word", [b"", b"word"])
async def test_an_error_is_told_with_its_metadata(channel: Any, word: bytes) -> None:
    """Alone, and behind a message."""
    call = channel.unary_stream(method("Fail"))(word)
    if word:
        assert await call.read() == word
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert raised.value.details() == "沒有 100%"
    trailing = dict(raised.value.trailing_metadata() or ())
    assert trailing == {"why": "because", "why-bin": b"\0\xff"}


async def test_an_error_nobody_expected_is_unknown(channel: Any) -> None:
    """It has no stack trace."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary(method("Crash"))(b"")
    assert raised.value.code() is grpc.StatusCode.UNKNOWN
    assert "Traceback" not in str(raised.value.details())


@pytest.mark.parametrize("name", ["Nothing", "Once/More"])
async def test_a_method_that_there_is_not_is_unimplemented(channel: Any, name: str) -> None:
    """Whatever is sent to it."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary(method(name))(b"x")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert raised.value.details() == "Method not found!"


async def test_a_message_that_is_too_long_is_refused(channel: Any) -> None:
    """With both lengths; the connection lives on."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary(method("Once"))(b"x" * (MOST_BYTES + 1))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max (1048577 vs. 1048576)" in str(raised.value.details())
    assert await channel.unary_unary(method("Once"))(b"y") == b"y"


@pytest.mark.parametrize("way", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_packed_requests_are_read(channel: Any, way: grpc.Compression) -> None:
    """A client may pack what it sends."""
    message = b"x" * 10_000
    assert await channel.unary_unary(method("Once"))(message, compression=way) == message
    assert len(gzip.compress(message)) < 100


async def test_a_deadline_ends_a_call(channel: Any, echo: Echo) -> None:
    """At the client and at the server."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary(method("Wait"))(b"", timeout=0.2)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(echo.left.wait(), 10)


async def test_a_client_that_leaves_ends_its_call(channel: Any, echo: Echo) -> None:
    """Whoever serves it is cancelled."""
    call = channel.unary_unary(method("Wait"))(b"")
    await asyncio.wait_for(echo.entered.wait(), 10)
    call.cancel()
    await asyncio.wait_for(echo.left.wait(), 10)


async def test_metadata_is_told(channel: Any, echo: Echo) -> None:
    """Text and bytes, and of gRPC's own nothing; who calls, and the time that is left."""
    metadata = (("key", "value"), ("key-bin", b"\0\xff"))
    call = channel.unary_unary(method("Look"))
    await call(b"", metadata=metadata, timeout=50)
    await call(b"")
    first, second = echo.seen
    assert set(first["metadata"]) == {"key", "key-bin", "user-agent"}
    assert (first["metadata"]["key"], first["metadata"]["key-bin"]) == ("value", b"\0\xff")
    assert first["peer"].startswith("ipv4:127.0.0.1:")
    assert first["certificate"] is None
    assert 0 < first["left"] <= 51  # the client rounds it up
    assert second["left"] is None


async def test_a_reader_that_is_slow_holds_its_writer(channel: Any, echo: Echo) -> None:
    """What nobody reads is not written: memory stays as it is."""
    call = channel.unary_stream(method("Much"))(b"")
    await call.read()
    before = -1
    while before != echo.written:  # until it writes no more
        before = echo.written
        await asyncio.sleep(0.3)
    assert echo.written < 20_000
    for _ in range(before + 100):
        await call.read()
    assert echo.written > before
    call.cancel()
