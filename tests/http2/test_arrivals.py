"""Callers that begin what they do not finish, and connections that are too many."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import trustme

from tame_router.http2 import frame as wire
from tame_router.http2 import server as server_module
from tame_router.http2.message import packed
from tame_router.http2.server import Http2Server
from tests.http2.conftest import LIMITS, MOST_BYTES, MOST_CONNECTIONS, Raw

Connect = Callable[[], Awaitable[Raw]]

_HASTY = replace(LIMITS, message_timeout_s=0.2)
_PING = wire.frame(wire.PING, 0, 0, b"12345678")
_LONG = packed(bytes(MOST_BYTES))


def data(number: int, payload: bytes, flags: int = 0) -> bytes:
    """Give payload as frames of data."""
    parts = [payload[at : at + 2**18] for at in range(0, len(payload), 2**18)]
    return b"".join(wire.frame(wire.DATA, flags, number, part) for part in parts)


async def test_what_calls_begin_together_is_limited(connect: Connect, server: Http2Server) -> None:
    """The one that goes beyond is told so; the others go on, and there is room again after them."""
    raw = await connect()
    for number in (1, 3, 5):
        raw.call(number, "Count", None)
        raw.send(data(number, _LONG[:-1]))
    assert await raw.status(5) == 8
    for number in (1, 3):
        raw.send(data(number, _LONG[-1:]), wire.frame(wire.DATA, wire.END_STREAM, number))
        assert await raw.status(number) == 0
    raw.call(7, "Count", None)
    raw.send(data(7, _LONG[:-1]), _PING)
    await raw.until(wire.PING)
    (connection,) = server._connections
    assert connection.arrivals._begun_bytes == len(_LONG) - 1
    raw.send(wire.reset(7, wire.ErrorCode.CANCEL), _PING)
    await raw.until(wire.PING)
    assert connection.arrivals._begun_bytes == 0


@pytest.mark.parametrize("limits", [_HASTY])
@pytest.mark.parametrize("method", ["Once", "Count"])
async def test_a_message_that_drips_is_not_waited_for(connect: Connect, method: str) -> None:
    """Each of its bytes alone is no progress."""
    raw = await connect()
    raw.call(1, method, None)

    async def drip() -> None:
        for byte in _LONG:
            raw.send(data(1, bytes((byte,))))
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        dripping = group.create_task(drip())
        assert await raw.status(1) == 4
        dripping.cancel()


@pytest.mark.parametrize("limits", [_HASTY])
async def test_the_first_message_is_waited_for_so_long(connect: Connect) -> None:
    """A call that is announced and never asked takes up no place."""
    raw = await connect()
    raw.call(1, "Once", None)
    assert await raw.status(1) == 4
    raw.call(3, "Once")
    assert await raw.status(3) == 0


async def test_there_is_no_hurry_between_messages(connect: Connect, server: Http2Server) -> None:
    """Only the rest of one that has begun is waited for."""
    raw = await connect()
    raw.call(1, "Both", b"a", ends=False)
    await raw.until(wire.DATA, 1)
    (connection,) = server._connections
    assert not connection.arrivals._expected
    raw.send(data(1, packed(b"bc")[:-1]), _PING)
    await raw.until(wire.PING)
    assert connection.arrivals._expected
    raw.send(data(1, packed(b"bc")[-1:]))
    await raw.until(wire.DATA, 1)
    assert not connection.arrivals._expected


async def test_who_cannot_send_is_not_late(connect: Connect, server: Http2Server) -> None:
    """The rest of a message behind one that is not read yet has its time once that is read."""
    raw = await connect()
    raw.call(1, "Wait", b"first", ends=False)
    raw.send(data(1, packed(b"second") + packed(b"third")[:-1]), _PING)
    await raw.until(wire.PING)
    (connection,) = server._connections
    assert connection.arrivals._begun_bytes
    assert not connection.arrivals._expected


async def test_a_stop_refuses_calls_without_a_message(
    connect: Connect, server: Http2Server
) -> None:
    """At once: nothing of them is served; those that are have their grace."""
    raw = await connect()
    raw.call(1, "Both", b"a", ends=False)
    await raw.until(wire.DATA, 1)
    raw.call(3, "Once", None)
    raw.call(5, "Once", None)
    raw.send(data(5, packed(b"word")[:-1]), _PING)
    await raw.until(wire.PING)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(server.stop(60))
        assert await raw.status(3) == 14
        assert await raw.status(5) == 14
        raw.send(data(1, packed(b"b"), wire.END_STREAM))
        assert await raw.status(1) == 0


async def test_more_connections_than_allowed_are_closed(
    connect: Connect, server: Http2Server
) -> None:
    """Before a word; one that ends makes room."""
    kept = [await connect() for _ in range(MOST_CONNECTIONS)]
    for raw in kept:
        await raw.until(wire.SETTINGS)
    beyond = await connect()
    assert await _nothing(beyond)
    kept[0].writer.transport.abort()
    while len(server._connections) == MOST_CONNECTIONS:  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0)
    another = await connect()
    another.call(1, "Once")
    assert await another.status(1) == 0


async def _nothing(raw: Raw) -> bool:
    try:
        return await raw.reader.read() == b""
    except ConnectionResetError:
        return True


async def test_tls_has_to_begin_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that says nothing is closed."""
    monkeypatch.setattr(server_module, "HANDSHAKE_S", 0.1)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = Http2Server(LIMITS, MOST_BYTES)
    server.listen(listener, tls)
    await server.start()
    try:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()
    finally:
        await server.stop(0)
