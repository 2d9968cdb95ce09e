"""The server: services and ports, calls begun and ended, an orderly end."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import grpc

from tame_router.http2.call import Call, Handler
from tame_router.http2.connection import Connection
from tame_router.http2.header_block import Headers, literal
from tame_router.http2.limits import Limits
from tame_router.http2.metadata import CallHead, HeadReader, Metadata, NotGrpcError
from tame_router.http2.stream import Stream

GenericHandler = grpc.GenericRpcHandler

BACKLOG: Final = 2048
"""Connections that wait to be taken. Source: listen(2)."""

HANDSHAKE_S: Final = 10.0
"""Time that TLS has to begin."""

CUT_S: Final = 1.0
"""Time that calls get to see that they were cut."""


@dataclass(frozen=True, slots=True)
class CallDetails:
    """What interceptors are told of a call, as `grpc.HandlerCallDetails`."""

    method: str
    invocation_metadata: Metadata


class _Silent:
    """Takes what comes on a stream that is answered already."""

    def received(self, data: bytes) -> bool:
        return True

    def ended(self) -> None:
        """Nothing waits for it."""

    def lost(self) -> None:
        """Nothing is left to end."""


class Http2Server:
    """Serves what is registered with it as with a `grpc.aio.Server`.

    Interceptors are asked once for each method, and not at each call: what they give is kept. A
    call is served once its first message has come, or its end: gRPC's client for asyncio tells an
    error that comes before it has sent a message as one of its own, and no service here speaks
    first.

    Args:
        limits: What holds for a connection.
        most_bytes: Longest message that is read.
        interceptors: Wrap what is served, the first outermost.
        max_connections: Open at once, of all ports together; further ones are closed.
    """

    def __init__(
        self,
        limits: Limits,
        most_bytes: int,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        max_connections: int = 4096,
    ) -> None:
        self._limits = limits
        self._most_bytes = most_bytes
        self._max_connections = max_connections
        self._interceptors = interceptors
        self._generic: list[GenericHandler] = []
        self._known: dict[str, Handler] = {}
        self._ports: list[tuple[socket.socket, ssl.SSLContext | None]] = []
        self._listening: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._calls: dict[Call, asyncio.Task[None]] = {}
        self._draining = False
        self._closed = asyncio.Event()

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[GenericHandler]) -> None:
        """Serve the methods that these know."""
        self._generic += generic_rpc_handlers

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, Handler]
    ) -> None:
        """Serve these methods; they are known to a generic handler too, which is asked."""

    def listen(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve on a port, once started.

        Args:
            listener: Bound to it.
            tls: Does TLS there; None: none is done.
        """
        self._ports.append((listener, tls))

    def close(self) -> None:
        """Let go of the ports."""
        for listener, _ in self._ports:
            listener.close()

    async def start(self) -> None:
        """Take calls."""
        loop = asyncio.get_running_loop()
        for listener, tls in self._ports:
            server = await loop.create_server(
                self._connect,
                sock=listener,
                ssl=tls,
                backlog=BACKLOG,
                ssl_handshake_timeout=HANDSHAKE_S if tls else None,
            )
            self._listening.append(server)

    async def stop(self, grace_s: float) -> None:
        """Take no new call, let those under way finish within the grace, and end the others."""
        self._draining = True
        for server in self._listening:
            server.close()
        for connection in list(self._connections):
            connection.drain()
        await self._finished(grace_s)
        for call in list(self._calls):
            call.cut()
        await self._finished(CUT_S)
        for connection in list(self._connections):
            connection.close()  # what was written leaves, where its peer reads
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CUT_S if self._connections else 0):
                await self._closed.wait()
        for connection in list(self._connections):
            connection.abort()

    async def _finished(self, within_s: float) -> None:
        until = asyncio.get_running_loop().time() + within_s
        while self._calls and (left := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(tuple(self._calls.values()), timeout=left)

    def _connect(self) -> Connection:
        begin = partial(self._begin, HeadReader())
        return Connection(self._limits, begin, self._keep, self._forget)

    def _keep(self, connection: Connection) -> None:
        """Keep a connection, or close it where too many are open.

        Before a word: clients then wait longer with each try.
        """
        if len(self._connections) < self._max_connections:
            self._connections.add(connection)
        else:
            connection.abort()

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self._draining and not self._connections:
            self._closed.set()

    def _begin(
        self, heads: HeadReader, connection: Connection, stream: Stream, headers: Headers
    ) -> None:
        """Begin a call."""
        stream.receiver = _Silent()
        try:
            head = heads.read(headers)
        except NotGrpcError as error:
            stream.send_headers(literal(b":status", b"%d" % error.status), ends=True)
            return
        except (ValueError, UnicodeDecodeError) as error:
            _refuse(connection, stream, grpc.StatusCode.INTERNAL, str(error))
            return
        if head.size > self._limits.max_header_bytes:
            _refuse(
                connection,
                stream,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"received metadata larger than max ({head.size} vs."
                f" {self._limits.max_header_bytes})",
            )
            return
        call = Call(connection, stream, head, self._most_bytes)
        stream.receiver = call
        call.begin = lambda: self._run(connection, call, head)

    def _run(self, connection: Connection, call: Call, head: CallHead) -> None:
        # Its owner is this server, which awaits it when it stops.
        handler = self._known.get(head.method)
        serving = call.serve(handler) if handler else self._serve(call, head)
        task = asyncio.get_running_loop().create_task(serving)
        call.task = task
        self._calls[call] = task
        connection.calls += 1

        def ended(_: asyncio.Task[None]) -> None:
            del self._calls[call]
            connection.calls -= 1

        task.add_done_callback(ended)

    async def _serve(self, call: Call, head: CallHead) -> None:
        """Serve a call of a method that was not called before."""
        try:
            handler = await self._find(head)
        except Exception:
            call.end(grpc.StatusCode.UNKNOWN, "the call failed unexpectedly")
            raise
        if handler is None:
            call.end(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
            return
        self._known[head.method] = handler
        await call.serve(handler)

    async def _find(self, head: CallHead) -> Handler | None:
        """Ask the interceptors for what serves a method."""

        async def known(details: Any) -> Handler | None:
            for handlers in self._generic:
                found: Handler | None = handlers.service(details)
                if found is not None:
                    return found
            return None

        find: Callable[[Any], Awaitable[Handler | None]] = known
        for interceptor in reversed(self._interceptors):
            find = _intercepted(interceptor, find)
        return await find(CallDetails(head.method, head.metadata))


def _intercepted(
    interceptor: grpc.aio.ServerInterceptor, inner: Callable[[Any], Awaitable[Handler | None]]
) -> Callable[[Any], Awaitable[Handler | None]]:
    async def find(details: Any) -> Handler | None:
        found: Handler | None = await interceptor.intercept_service(inner, details)
        return found

    return find


def _refuse(connection: Connection, stream: Stream, code: grpc.StatusCode, why: str) -> None:
    """Answer a call that cannot even begin."""
    head = CallHead(method="", timeout_s=None, encoding="", metadata=(), size=0)
    Call(connection, stream, head, 0).end(code, why)
