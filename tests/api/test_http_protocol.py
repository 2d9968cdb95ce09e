"""One HTTP connection on bare sockets: limits, slow callers, bad bytes, methods."""

from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.abc import SocketStream

from tame_router.answering.event import Delta, Event
from tame_router.chat import FinishReason
from tame_router.config_access import HttpSettings
from tests.http_wire import BODY, closed, connect, exchange, get, post, read_response
from tests.scripted_desk import BEGIN, REVISION, ScriptedDesk, ending, serving_http

pytestmark = pytest.mark.anyio

WORD = Delta(expert="legal", revision=REVISION, text="word")
ANSWER: tuple[Event, ...] = (*BEGIN, WORD, *ending(FinishReason.STOP))


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Give the address of a port with small limits."""
    settings = HttpSettings(
        max_body_bytes=4096, header_timeout_s=0.3, body_timeout_s=0.3, keep_alive_s=0.3
    )
    async with serving_http(ScriptedDesk(*ANSWER), settings) as found:
        yield found


async def test_health_tells_nothing_else(address: str) -> None:
    """Ready is 200, without who runs here."""
    status, headers, body = await exchange(address, get("/health"))
    assert (status, body) == (200, {"status": "ready"})
    assert set(headers) == {"content-type", "content-length", "x-request-id"}


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (get("/nothing"), 404, "unknown_url"),
        (get("/v1/chat/completions/"), 404, "unknown_url"),
        (get("/v1/models/a/b"), 404, "unknown_url"),
        (get("/metrics"), 404, "unknown_url"),
        (get("/v1/chat/completions"), 405, "method_not_allowed"),
        (get("/health", method="DELETE"), 405, "method_not_allowed"),
        (post(BODY, "content-type: text/plain"), 415, "unsupported_media_type"),
        (post(BODY, "accept: */*"), 415, "unsupported_media_type"),
        (
            post(BODY, "content-type: application/json", "content-encoding: gzip"),
            415,
            "unsupported_media_type",
        ),
        (post(b"x" * 5000), 413, "REQUEST_TOO_LARGE"),
        (post(b"", length=2**30), 413, "REQUEST_TOO_LARGE"),
        (post(BODY, length=len(BODY) + 1), 408, "request_timeout"),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400, "bad_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400, "bad_request"),
        (b"GET /hea", 408, "request_timeout"),
        (b"GET /health HTTP/1.1\r\nx: " + b"y" * 70_000, 431, "header_too_large"),
        (get("/health", "x: " + "y" * 70_000), 431, "header_too_large"),
        (get("/health", *(f"x{i}: " + "y" * 1_000 for i in range(70))), 431, "header_too_large"),
        (get("/" + "y" * 65_530), 431, "header_too_large"),
        (get("/v1/models/nobody"), 404, "model_not_found"),
    ],
)
async def test_refusals_are_in_openai_form(
    address: str, request_bytes: bytes, status: int, code: str
) -> None:
    """Whatever is refused, the status fits and the body is OpenAI's."""
    found, headers, body = await exchange(address, request_bytes)
    assert (found, body["error"]["code"]) == (status, code)
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert headers["content-type"] == "application/json"
    if status == 405:
        assert headers["allow"]


async def test_a_chunked_body_is_counted(address: str) -> None:
    """Without a length a body is refused once it is too large."""
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    request = head.encode() + b"transfer-encoding: chunked\r\n\r\n"
    request += b"1400\r\n" + b" " * 0x1400 + b"\r\n0\r\n\r\n"
    status, _, _ = await exchange(address, request)
    assert status == 413


CHUNKED = "transfer-encoding: chunked"


async def _pour(stream: SocketStream, piece: bytes, most: int) -> int:
    """Send a piece again and again until the other side closes; give how many were taken."""
    for count in range(most):
        try:
            await stream.send(piece)
        except anyio.BrokenResourceError:
            return count
    return most


@pytest.mark.parametrize("piece", [b"x: " + b"a" * 10_000 + b"\r\n", b"a" * 10_000])
@pytest.mark.parametrize("head", [get("/health", CHUNKED), post(b"")])
async def test_trailers_are_limited(address: str, head: bytes, piece: bytes) -> None:
    """Neither many nor a long one are read on, with an answer behind them or before them."""
    head = head.replace(b"content-length: 0", CHUNKED.encode())
    async with await connect(address) as stream:
        with anyio.fail_after(10):
            await stream.send(head + b"2\r\n{}\r\n0\r\nx: a")
            assert await _pour(stream, piece, 10_000) < 10_000


async def test_a_trailer_is_no_header(address: str) -> None:
    """Nobody reads it, although it came with the request."""
    request = get("/health", CHUNKED) + b"0\r\nx-request-id: mine-1234\r\n\r\n"
    _, headers, _ = await exchange(address, request)
    assert headers["x-request-id"] != "mine-1234"


async def test_a_request_that_has_its_answer_is_not_read_for_long(address: str) -> None:
    """A dripping body that nobody waits for does not keep the connection."""
    async with await connect(address) as stream, anyio.create_task_group() as group:

        async def drip() -> None:
            while True:
                await stream.send(b"a")
                await anyio.sleep(0.02)

        await stream.send(get("/health", "content-length: 4000"))
        assert (await read_response(stream))[0] == 200
        group.start_soon(drip)
        assert await closed(stream) == b""
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (get("/health", "x: " + "y" * 70_000), b" 431 "),
        (b"GET /health HTTP/1.1\r\nx: " + b"y" * 400_000, b" 431 "),
        (b"bad\r\n\r\n", b" 400 "),
    ],
)
async def test_what_is_refused_waits_for_the_answer_before_it(
    address: str, second: bytes, status: bytes
) -> None:
    """A good request is answered, whatever follows it at once."""
    async with await connect(address) as stream:
        await stream.send(get("/health") + second)
        data = await closed(stream)
    assert data.index(b" 200 ") < data.index(status)


@pytest.mark.parametrize("before", [b"", b"\r\n", b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n\r\n"])
async def test_a_silent_connection_is_closed(address: str, before: bytes) -> None:
    """Nobody holds a connection without a request: not at first, nor after one."""
    async with await connect(address) as stream:
        if before:
            await stream.send(before)
        await closed(stream)


async def test_a_dripping_header_is_cut(address: str) -> None:
    """A byte now and then does not extend the time for a header."""
    async with await connect(address) as stream, anyio.create_task_group() as group:

        async def drip() -> None:
            while True:
                await stream.send(b"a")
                await anyio.sleep(0.02)

        await stream.send(b"GET /health HTTP/1.1\r\nx: ")
        group.start_soon(drip)
        assert b" 408 " in await closed(stream)
        group.cancel_scope.cancel()


async def test_more_connections_than_are_allowed() -> None:
    """One too many is closed at once; those before it are served."""
    async with serving_http(ScriptedDesk(), HttpSettings(max_connections=2)) as address:
        first, second, third = [await connect(address) for _ in range(3)]
        async with first, second, third:
            assert await closed(third) == b""
            await first.send(get("/health"))
            assert (await read_response(first))[0] == 200


async def test_requests_on_one_connection(address: str) -> None:
    """A connection is kept, and serves pipelined requests in order."""
    async with await connect(address) as stream:
        await stream.send(get("/health"))
        assert (await read_response(stream))[0] == 200
        await stream.send(get("/health") + get("/nothing"))
        data = await closed(stream)
    assert data.index(b" 200 ") < data.index(b" 404 ")


@pytest.mark.parametrize(
    ("ahead", "more", "behind"),
    [
        (b"", "accept: */*", b""),
        (get("/health"), "accept: */*", b""),
        (b"", "accept: */*", get("/health")),
        (b"", "connection: close", b""),
        (b"", "expect: 100-continue", b""),
    ],
)
async def test_a_stream_begins_the_same_by_every_way(
    address: str, ahead: bytes, more: str, behind: bytes
) -> None:
    """Written at once, or by ASGI where another request is behind it or the connection ends."""
    body = BODY[:-1] + b',"stream":true}'
    request = post(body, "content-type: application/json", "x-request-id: mine-1234", more)
    async with await connect(address) as stream:
        await stream.send(ahead + request + behind)
        data = await closed(stream)
    responses = data.split(b"HTTP/1.1 200 OK\r\n")
    assert len(responses) == 2 + bool(ahead + behind)
    (found,) = [one for one in responses if b"event-stream" in one]
    head, _, written = found.partition(b"\r\n\r\n")
    assert head.decode().split("\r\n") == [
        "content-type: text/event-stream; charset=utf-8",
        "cache-control: no-cache",
        "x-accel-buffering: no",
        "x-request-id: mine-1234",
        "x-tame-answer-id: answer-1",
        "x-tame-expert: legal",
        "x-tame-decision-reason: MOST_PROBABLE",
        *((more,) if more == "connection: close" else ()),
        "transfer-encoding: chunked",
    ]
    assert written.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


async def test_a_request_id_of_the_callers_own(address: str) -> None:
    """It is kept where it is well formed, and replaced otherwise."""
    _, headers, _ = await exchange(address, get("/health", "x-request-id: mine-1234"))
    assert headers["x-request-id"] == "mine-1234"
    _, headers, _ = await exchange(address, get("/health", "x-request-id: <bad>"))
    assert len(headers["x-request-id"]) == 32
