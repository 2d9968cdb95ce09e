"""Servers of both kinds with one small service, and a connection that sends what it likes."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import hpack
import pytest

from tame_router.http2 import frame as wire
from tame_router.http2.header_block import block
from tame_router.http2.limits import Limits
from tame_router.http2.message import packed
from tame_router.http2.server import Http2Server

SERVICE = "test.Echo"
MOST_BYTES = 2**20
MOST_CONNECTIONS = 4
LIMITS = Limits(
    max_streams=20,
    max_header_bytes=12_288,
    keepalive_s=60,
    message_timeout_s=60,
    begun_bytes=2 * MOST_BYTES + 100,
)


class Echo:
    """What is served.

    Attributes:
        entered: Set when `Wait` is served.
        left: Set when it is no more.
        written: Messages that `Much` has written.
        seen: What calls of `Look` have found in their contexts.
    """

    def __init__(self) -> None:
        self.entered, self.left = asyncio.Event(), asyncio.Event()
        self.written = 0
        self.seen: list[dict[str, Any]] = []

    async def once(self, request: bytes, context: Any) -> bytes:
        """Give the request back."""
        return request

    async def many(self, request: bytes, context: Any) -> None:
        """Write each byte of it, as a message."""
        for byte in request:
            await context.write(bytes((byte,)))

    async def much(self, request: bytes, context: Any) -> None:
        """Write without end."""
        while True:
            await context.write(b"x" * 1000)
            self.written += 1

    async def both(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        """Give each message back as it comes."""
        async for request in requests:
            yield request

    async def count(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        """Count bytes."""
        return str(sum([len(one) async for one in requests])).encode()

    async def wait(self, request: bytes, context: Any) -> bytes:
        """Never answer."""
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
        return b""

    async def fail(self, request: bytes, context: Any) -> None:
        """Write a word, where one is asked for, then end with an error."""
        if request:
            await context.write(request)
        trailing = (("why", "because"), ("why-bin", b"\0\xff"))
        await context.abort(grpc.StatusCode.NOT_FOUND, "沒有 100%", trailing)

    async def crash(self, request: bytes, context: Any) -> bytes:
        """End with an error nobody expected."""
        raise RuntimeError("a secret")

    async def look(self, request: bytes, context: Any) -> bytes:
        """Note what the context tells."""
        self.seen.append(
            {
                "metadata": dict(context.invocation_metadata()),
                "peer": context.peer(),
                "certificate": context.auth_context().get("x509_pem_cert"),
                "left": context.time_remaining(),
            }
        )
        return b""

    def handlers(self) -> grpc.GenericRpcHandler:
        """Give what a server registers."""
        one, streamed = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Once": one(self.once),
                "Many": streamed(self.many),
                "Much": streamed(self.much),
                "Both": grpc.stream_stream_rpc_method_handler(self.both),
                "Count": grpc.stream_unary_rpc_method_handler(self.count),
                "Wait": one(self.wait),
                "Fail": streamed(self.fail),
                "Crash": one(self.crash),
                "Look": one(self.look),
            },
        )


class Raw:
    """A connection of HTTP/2 that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._decoder = hpack.Decoder()

    def send(self, *frames: bytes) -> None:
        """Send bytes."""
        self.writer.write(b"".join(frames))

    def call(
        self, number: int, method: str, message: bytes | None = b"", *, ends: bool = True
    ) -> None:
        """Send a call; without a message its head only."""
        head = block(
            [
                (b":method", b"POST"),
                (b":path", f"/{SERVICE}/{method}".encode()),
                (b"content-type", b"application/grpc"),
            ]
        )
        self.send(wire.frame(wire.HEADERS, wire.END_HEADERS, number, head))
        if message is not None:
            flags = wire.END_STREAM if ends else 0
            self.send(wire.frame(wire.DATA, flags, number, packed(message)))

    async def next(self) -> tuple[int, int, int, bytes]:
        """Give the next frame: kind, flags, stream, payload."""
        head = await self.reader.readexactly(wire.HEAD_BYTES)
        payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
        return head[3], head[4], int.from_bytes(head[5:], "big"), payload

    async def until(self, kind: int, number: int | None = None) -> tuple[int, bytes]:
        """Give flags and payload of the next frame of a kind."""
        while True:
            found, flags, stream, payload = await self.next()
            if found == kind and number in {None, stream}:
                return flags, payload

    def headers(self, payload: bytes) -> dict[bytes, bytes]:
        """Read a header block; all of a connection are to be read, in order."""
        return dict(self._decoder.decode(payload, raw=True))

    async def status(self, number: int) -> int:
        """Give how a call ended."""
        while True:
            kind, flags, stream, payload = await self.next()
            if kind == wire.HEADERS:
                headers = self.headers(payload)
                if stream == number and flags & wire.END_STREAM:
                    return int(headers[b"grpc-status"])

    async def gone(self) -> tuple[int, str]:
        """Wait for the end of the connection, and give why the server ended it."""
        _, payload = await self.until(wire.GOAWAY)
        with contextlib.suppress(ConnectionResetError):  # it had not read all of ours
            assert await self.reader.read() == b""
        return int.from_bytes(payload[4:8], "big"), payload[8:].decode()


@pytest.fixture
def echo() -> Echo:
    """Give the service."""
    return Echo()


@pytest.fixture
def limits() -> Limits:
    """Give what holds for a connection."""
    return LIMITS


@pytest.fixture
async def server(echo: Echo, limits: Limits) -> AsyncIterator[Http2Server]:
    """Give our server, started; its port is in `address`."""
    made = Http2Server(limits, MOST_BYTES, max_connections=MOST_CONNECTIONS)
    made.add_generic_rpc_handlers((echo.handlers(),))
    yield made
    await made.stop(0)


@pytest.fixture
async def address(server: Http2Server) -> str:
    """Start our server, and give where it listens."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # else each reply waits for 40 ms
    listener.bind(("127.0.0.1", 0))
    server.listen(listener)
    await server.start()
    return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
async def connect(address: str) -> AsyncIterator[Callable[[], Awaitable[Raw]]]:
    """Give what opens a connection, greeted."""
    async with AsyncExitStack() as stack:

        async def opened() -> Raw:
            return await stack.enter_async_context(_raw(address))

        yield opened


@asynccontextmanager
async def _raw(address: str) -> AsyncIterator[Raw]:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**22)
    raw = Raw(reader, writer)
    raw.send(wire.PREFACE, wire.settings({}))
    try:
        yield raw
    finally:
        writer.transport.abort()
