"""One connection: its rules, and those who break them."""

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest

from tame_router.http2 import frame as wire
from tame_router.http2.allowance import MOST
from tame_router.http2.frame import ErrorCode, Setting
from tame_router.http2.header_block import block
from tame_router.http2.message import packed
from tame_router.http2.server import Http2Server
from tame_router.http2.stream import STREAM_WINDOW
from tests.http2.conftest import LIMITS, Echo, Raw

Connect = Callable[[], Awaitable[Raw]]


async def test_a_call_by_hand(connect: Connect) -> None:
    """Settings first, then head, message, trailers."""
    raw = await connect()
    kind, _, number, payload = await raw.next()
    assert (kind, number) == (wire.SETTINGS, 0)
    told = dict(struct.iter_unpack("!HI", payload))
    assert told[Setting.MAX_CONCURRENT_STREAMS] == LIMITS.max_streams
    assert told[Setting.INITIAL_WINDOW_SIZE] == STREAM_WINDOW
    raw.call(1, "Once", b"word")
    _, payload = await raw.until(wire.HEADERS)
    assert raw.headers(payload)[b"content-type"] == b"application/grpc"
    assert (await raw.until(wire.DATA))[1] == packed(b"word")
    assert await raw.status(1) == 0


async def test_a_ping_is_answered(connect: Connect) -> None:
    """With the same eight bytes; an answer to ours is none."""
    raw = await connect()
    raw.send(wire.frame(wire.PING, wire.ACK, 0, b"87654321"))
    raw.send(wire.frame(wire.PING, 0, 0, b"12345678"))
    assert await raw.until(wire.PING) == (wire.ACK, b"12345678")


HEAD = block(
    [(b":method", b"POST"), (b":path", b"/test.Echo/Wait"), (b"content-type", b"application/grpc")]
)
OPEN = wire.frame(wire.HEADERS, wire.END_HEADERS, 1, HEAD)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (wire.frame(wire.DATA, 0, 1, b"x"), ErrorCode.PROTOCOL_ERROR),
        (wire.frame(wire.DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
        (wire.frame(wire.HEADERS, wire.END_HEADERS, 2, HEAD), ErrorCode.PROTOCOL_ERROR),
        (OPEN + OPEN, ErrorCode.PROTOCOL_ERROR),
        (wire.frame(wire.CONTINUATION, 4, 1, b""), ErrorCode.PROTOCOL_ERROR),
        (wire.frame(wire.HEADERS, 0, 1, HEAD) + wire.settings({}), ErrorCode.PROTOCOL_ERROR),
        (wire.frame(wire.HEADERS, 0, 1, HEAD) + wire.frame(0, 0, 1), ErrorCode.PROTOCOL_ERROR),
        (wire.frame(wire.HEADERS, 4, 1, b"\xff" * 9), ErrorCode.COMPRESSION_ERROR),
        (wire.window_update(0, 0), ErrorCode.PROTOCOL_ERROR),
        (wire.window_update(5, 1), ErrorCode.PROTOCOL_ERROR),
        (wire.window_update(0, wire.MOST_WINDOW), ErrorCode.FLOW_CONTROL_ERROR),
        (OPEN + wire.window_update(1, wire.MOST_WINDOW), ErrorCode.FLOW_CONTROL_ERROR),
        (wire.frame(wire.WINDOW_UPDATE, 0, 0, b"123"), ErrorCode.FRAME_SIZE_ERROR),
        (wire.frame(wire.PING, 0, 0, b"123"), ErrorCode.FRAME_SIZE_ERROR),
        (wire.frame(wire.SETTINGS, 0, 0, b"12345"), ErrorCode.FRAME_SIZE_ERROR),
        (wire.settings({Setting.MAX_FRAME_SIZE: 1}), ErrorCode.PROTOCOL_ERROR),
        (wire.settings({Setting.INITIAL_WINDOW_SIZE: 2**31}), ErrorCode.FLOW_CONTROL_ERROR),
        (wire.reset(7, ErrorCode.CANCEL), ErrorCode.PROTOCOL_ERROR),
        (wire.head(wire.DATA, 0, 1, 2**23), ErrorCode.FRAME_SIZE_ERROR),
        (OPEN + 2 * wire.frame(wire.DATA, 1, 1, packed(b"")), ErrorCode.STREAM_CLOSED),
        (wire.frame(wire.DATA, wire.PADDED, 1, b""), ErrorCode.PROTOCOL_ERROR),
    ],
)
async def test_who_breaks_the_rules_is_told_and_left(
    connect: Connect, frames: bytes, code: ErrorCode
) -> None:
    """GOAWAY says which, and the connection ends."""
    raw = await connect()
    raw.send(frames)
    found, why = await raw.gone()
    assert found == code
    assert why


@pytest.mark.parametrize(
    "flood",
    [
        wire.frame(wire.PING, 0, 0, b"12345678"),
        wire.settings({}),
        wire.frame(wire.PRIORITY, 0, 1, b"12345"),
        wire.frame(0xFA, 0, 1),
        wire.window_update(0, 1),
        OPEN + wire.frame(wire.DATA, 0, 1),
        wire.frame(wire.HEADERS, 0, 1, b"") + wire.frame(wire.CONTINUATION, 0, 1) * 20,
    ],
    ids=["ping", "settings", "priority", "unknown", "window", "empty data", "continuation"],
)
async def test_a_flood_ends_its_connection(connect: Connect, flood: bytes, echo: Echo) -> None:
    """What costs a peer nothing is not done for it without end."""
    raw, piece = await connect(), flood
    for _ in range(3 * MOST):
        raw.send(piece)
        if flood.startswith(OPEN):
            piece = flood[len(OPEN) :]
        elif piece[3] == wire.HEADERS:
            piece = wire.frame(wire.CONTINUATION, 0, 1)
    assert (await raw.gone())[0] == ErrorCode.ENHANCE_YOUR_CALM


async def test_resets_in_a_row_end_the_connection(connect: Connect) -> None:
    """Calls that are begun and left at once are work for nothing."""
    raw = await connect()
    for number in range(1, 12 * MOST, 2):
        raw.call(number, "Wait")
        raw.send(wire.reset(number, ErrorCode.CANCEL))
    assert (await raw.gone())[0] == ErrorCode.ENHANCE_YOUR_CALM


async def test_more_streams_than_allowed_are_refused(connect: Connect) -> None:
    """Those before them go on."""
    raw = await connect()
    for number in range(1, 2 * LIMITS.max_streams + 3, 2):
        raw.call(number, "Wait")
    last = 2 * LIMITS.max_streams + 1
    _, payload = await raw.until(wire.RST_STREAM, last)
    assert int.from_bytes(payload, "big") == ErrorCode.REFUSED_STREAM
    raw.send(wire.reset(1, ErrorCode.CANCEL))
    raw.send(wire.frame(wire.PING, 0, 0, b"12345678"))
    await raw.until(wire.PING)
    raw.call(last + 2, "Once", b"")
    assert await raw.status(last + 2) == 0


async def test_nothing_is_sent_that_the_peer_has_no_room_for(connect: Connect) -> None:
    """Neither on a stream nor on the connection, nor in longer frames than it reads."""
    raw = await connect()
    raw.send(wire.settings({Setting.INITIAL_WINDOW_SIZE: 10}))
    raw.call(1, "Once", b"x" * 95)
    got = [len((await raw.until(wire.DATA))[1])]
    raw.send(wire.window_update(1, 30))
    got.append(len((await raw.until(wire.DATA))[1]))
    raw.send(wire.settings({Setting.INITIAL_WINDOW_SIZE: 50}))
    got.append(len((await raw.until(wire.DATA))[1]))
    raw.send(wire.window_update(1, 1000))
    got.append(len((await raw.until(wire.DATA))[1]))
    assert got == [10, 30, 40, 20]
    assert await raw.status(1) == 0


async def test_the_window_of_the_connection_is_kept(connect: Connect) -> None:
    """All streams together send no more than it holds."""
    raw = await connect()
    raw.send(wire.settings({Setting.INITIAL_WINDOW_SIZE: 2**20}))
    raw.call(1, "Much")
    got = 0
    while got < wire.DEFAULT_WINDOW:
        got += len((await raw.until(wire.DATA, 1))[1])
    assert got == wire.DEFAULT_WINDOW
    raw.send(wire.frame(wire.PING, 0, 0, b"12345678"))
    assert (await raw.next())[0] == wire.PING
    raw.send(wire.window_update(0, 5))
    assert len((await raw.until(wire.DATA, 1))[1]) == 5


async def test_a_request_may_fill_its_window_and_no_more(connect: Connect) -> None:
    """What is not read is not taken in without end."""
    raw = await connect()
    raw.call(1, "Once", None)
    # A message that is too long is refused at its head; one that is not read fills the window.
    raw.send(wire.frame(wire.DATA, 0, 1, b"\0\x7f\0\0\0"))
    assert await raw.status(1) == 8
    raw.call(3, "Wait", b"", ends=False)
    piece = wire.frame(wire.DATA, 0, 3, packed(b"x" * 100_000))
    for _ in range(STREAM_WINDOW // 100_005 + 2):
        raw.send(piece)
    assert (await raw.gone())[0] == ErrorCode.FLOW_CONTROL_ERROR


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b":method", b"GET"), (b":path", b"/")], b"405"),
        ([(b":method", b"POST"), (b":path", b"/"), (b"content-type", b"text/html")], b"415"),
    ],
)
async def test_what_is_no_call_has_a_status_of_http(
    connect: Connect, headers: list[tuple[bytes, bytes]], status: bytes
) -> None:
    """And the connection goes on."""
    raw = await connect()
    raw.send(wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, 1, block(headers)))
    _, payload = await raw.until(wire.HEADERS)
    assert raw.headers(payload) == {b":status": status}
    raw.call(3, "Once")
    assert await raw.status(3) == 0


async def test_too_much_metadata_is_refused(connect: Connect) -> None:
    """With both sizes; the connection goes on."""
    raw = await connect()
    content = HEAD + block([(b"key", b"x" * LIMITS.max_header_bytes)])
    raw.send(wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, 1, content))
    _, payload = await raw.until(wire.HEADERS)
    headers = raw.headers(payload)
    assert headers[b"grpc-status"] == b"8"
    assert b"larger than max" in headers[b"grpc-message"]
    raw.call(3, "Once")
    assert await raw.status(3) == 0


async def test_a_message_that_is_cut_is_an_error(connect: Connect) -> None:
    """As is a request without any."""
    raw = await connect()
    raw.call(1, "Once", None)
    raw.send(wire.frame(wire.DATA, wire.END_STREAM, 1, packed(b"word")[:-1]))
    assert await raw.status(1) == 13
    raw.call(3, "Wait", None)
    raw.send(wire.frame(wire.DATA, wire.END_STREAM, 3))
    assert await raw.status(3) == 13


async def test_a_connection_that_breaks_ends_its_calls(connect: Connect, echo: Echo) -> None:
    """Whoever serves them is cancelled."""
    raw = await connect()
    raw.call(1, "Wait")
    await asyncio.wait_for(echo.entered.wait(), 10)
    raw.writer.transport.abort()
    await asyncio.wait_for(echo.left.wait(), 10)


async def test_a_stop_lets_calls_finish_and_takes_no_new_ones(
    connect: Connect, server: Http2Server
) -> None:
    """GOAWAY says which are served still; they end, and so does the connection."""
    raw = await connect()
    raw.call(1, "Both", b"a", ends=False)
    await raw.until(wire.DATA, 1)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.stop(20))
        _, payload = await raw.until(wire.GOAWAY)
        assert int.from_bytes(payload[:4], "big") == 1
        raw.call(3, "Once")
        _, refused = await raw.until(wire.RST_STREAM, 3)
        assert int.from_bytes(refused, "big") == ErrorCode.REFUSED_STREAM
        raw.send(wire.frame(wire.DATA, wire.END_STREAM, 1, packed(b"b")))
        assert (await raw.until(wire.DATA, 1))[1] == packed(b"b")
        assert await raw.status(1) == 0
    assert await raw.reader.read() == b""


async def test_what_outlasts_the_grace_is_told_so(
    connect: Connect, server: Http2Server, echo: Echo
) -> None:
    """UNAVAILABLE: another server may answer."""
    raw = await connect()
    raw.call(1, "Wait")
    await asyncio.wait_for(echo.entered.wait(), 10)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.stop(0.05))
        assert await raw.status(1) == 14
    assert echo.left.is_set()
