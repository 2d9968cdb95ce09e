"""Peers that cost much for little, peers that read slowly, and a client that measures the line."""

import asyncio
import gzip
import socket
from collections.abc import Awaitable, Callable

from tame_router.http2 import frame as wire
from tame_router.http2.allowance import MOST
from tame_router.http2.connection import Connection
from tame_router.http2.frame import ErrorCode, Setting
from tame_router.http2.header_block import block
from tame_router.http2.message import packed
from tame_router.http2.outbox import UNREAD_BYTES, Outbox
from tame_router.http2.server import Http2Server
from tame_router.http2.stream import Stream, Waiting
from tests.http2.conftest import MOST_BYTES, Echo, Raw

Connect = Callable[[], Awaitable[Raw]]

PING = wire.frame(wire.PING, 0, 0, b"12345678")


async def test_a_client_may_measure_the_line_at_each_frame(connect: Connect) -> None:
    """As Go's does: a window and a ping for every frame of data, once the last ping is answered."""
    raw = await connect()
    raw.call(1, "Both", b"x", ends=False)
    for _ in range(MOST // 4):
        _, payload = await raw.until(wire.DATA)
        raw.send(wire.window_update(0, len(payload)), wire.window_update(1, len(payload)), PING)
        await raw.until(wire.PING)
        raw.send(wire.frame(wire.DATA, 0, 1, packed(b"x")))
    raw.send(wire.frame(wire.DATA, wire.END_STREAM, 1))
    assert await raw.status(1) == 0


async def test_answers_to_a_flood_do_not_pay_for_it(connect: Connect) -> None:
    """However slowly it comes: each of these frames has the server write one."""
    raw, got = await connect(), 0
    for _ in range(2 * MOST):
        raw.send(wire.settings({}))
        kind, _, _, payload = await raw.next()
        got += 1
        if kind == wire.GOAWAY:
            assert int.from_bytes(payload[4:8], "big") == ErrorCode.ENHANCE_YOUR_CALM
            return
    raise AssertionError(f"{got} answers")


async def test_packed_messages_stay_packed_until_they_are_read(
    connect: Connect, server: Http2Server, echo: Echo
) -> None:
    """Thousands of bombs behind the one message that a call reads are not unpacked."""
    raw, bomb = await connect(), gzip.compress(bytes(MOST_BYTES))
    head = block(
        [
            (b":method", b"POST"),
            (b":path", b"/test.Echo/Wait"),
            (b"content-type", b"application/grpc"),
            (b"grpc-encoding", b"gzip"),
        ]
    )
    one = b"\x01" + len(bomb).to_bytes(4, "big") + bomb
    raw.send(wire.frame(wire.HEADERS, wire.END_HEADERS, 1, head))
    raw.send(wire.frame(wire.DATA, 0, 1, one), wire.frame(wire.DATA, 0, 1, one * 9), PING)
    await raw.until(wire.PING)
    await asyncio.wait_for(echo.entered.wait(), 10)
    (call,) = server._calls
    assert sum(map(len, call._inbox._messages)) == 9 * len(bomb)


async def test_a_packed_message_that_cannot_be_read_ends_its_call(connect: Connect) -> None:
    """In the middle of a stream too; its servicer is cancelled."""
    raw = await connect()
    raw.call(1, "Both", b"x", ends=False)
    await raw.until(wire.DATA, 1)
    raw.send(wire.frame(wire.DATA, 0, 1, b"\x01\0\0\0\x01a"))
    assert await raw.status(1) == 12


class _Lines:
    """A connection with room for 10 bytes."""

    window, frame_bytes, crowded = 10, 2**14, False

    def put(self, data: bytes) -> None:
        """Lose it."""

    def wait(self, stream: Stream) -> None:
        """Nobody wakes it."""

    def released(self, size: int) -> None:
        """Nothing is read."""

    def over(self, stream: Stream) -> None:
        """Nothing is kept."""


async def test_no_more_streams_are_woken_than_there_is_room_for() -> None:
    """In turn; those without room of their own are passed over."""
    waiting, woken = Waiting(), []

    class Noted(Stream):
        __slots__ = ()

        def wake(self) -> None:
            woken.append(self.number)

    for number, window in ((1, 100), (3, 0), (5, 4), (7, 100), (9, 100)):
        stream = Noted(_Lines(), number, window)
        stream.wanted = 6
        waiting.add(stream)
    waiting.wake(0)
    assert woken == []
    waiting.wake(10)
    assert woken == [1, 5]
    waiting.wake(1)
    assert woken == [1, 5, 7]


async def test_all_streams_go_on_as_room_is_made(connect: Connect) -> None:
    """A byte at a time, with more streams than that."""
    raw, calls = await connect(), 10
    raw.send(wire.settings({Setting.INITIAL_WINDOW_SIZE: 2**20}))
    raw.call(1, "Once", bytes(wire.DEFAULT_WINDOW - 5))  # which fills the connection's
    assert await raw.status(1) == 0
    for number in range(3, 3 + 2 * calls, 2):
        raw.call(number, "Once", b"ab")
    raw.send(wire.reset(3, ErrorCode.CANCEL))
    got = 0
    while got < 7 * (calls - 1):
        raw.send(wire.window_update(0, 1))
        got += len((await raw.until(wire.DATA))[1])


async def test_who_leaves_too_much_unread_is_left() -> None:
    """Answers without data have no window: they would fill the memory."""
    here, there = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=here)
    with there:
        out = Outbox()
        out.open(transport)
        sent = 0
        while not out.closed:
            out.put(bytes(2**16))
            out.flush()
            sent += 2**16
            assert sent < 2 * UNREAD_BYTES
        assert transport.is_closing()


async def test_a_stop_lets_a_slow_reader_read(connect: Connect, server: Http2Server) -> None:
    """What was written when its calls ended still leaves."""
    raw, calls = await connect(), 15
    raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
    raw.send(wire.settings({Setting.INITIAL_WINDOW_SIZE: 2**30}), wire.window_update(0, 2**30))
    for number in range(1, 2 * calls, 2):
        raw.call(number, "Once", bytes(1_000_000))
    connection = await _met(server)
    last = 2 * calls - 1
    while not connection.crowded or connection._last < last:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.stop(20))
        raw.writer.transport.resume_reading()  # type: ignore[attr-defined]
        ended = 0
        while ended < calls:
            kind, flags, _, _ = await raw.next()
            ended += kind == wire.HEADERS and flags & wire.END_STREAM
    assert await raw.reader.read() == b""


async def _met(server: Http2Server) -> Connection:
    """Wait for the one connection of a server."""
    while not server._connections:  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0)
    (connection,) = server._connections
    return connection
