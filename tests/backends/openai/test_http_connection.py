"""What a connection makes of an answer's bytes, however a server frames or cuts them."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
import trustme

from tame_router.backends.openai.http_client import HttpClient
from tame_router.backends.openai.http_connection import MOST_HELD_BYTES
from tame_router.errors import BackendProtocolError, BackendUnavailableError, StreamBrokenError
from tests.fakes.raw_http import EMPTY, OK, answering, serving

pytestmark = pytest.mark.anyio

FRAMED = {
    "by length": OK + b"Content-Length: 3\r\n\r\nabc",
    "in chunks": OK
    + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\nT: x\r\n\r\n",
    "by its end": OK + b"Content-Type: text/plain\r\n\r\nabc",
    "by HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nabc",
    "behind a hint": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    + OK
    + b"Content-Length: 3\r\n\r\nabc",
}


@pytest.mark.parametrize("framing", FRAMED)
@pytest.mark.parametrize("size", [1, 1000])
async def test_a_body_is_read_however_it_is_framed(
    client: Callable[..., HttpClient], framing: str, size: int
) -> None:
    """Length, chunks, or the connection's end: the body is the same, in bytes one by one too."""
    data = FRAMED[framing]
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    async with serving(answering(pieces)) as base_url:
        source = await client(base_url).get("models")
        assert source.status == 200
        assert await source.read_all(10) == b"abc"


async def test_what_arrived_before_a_break_is_read(client: Callable[..., HttpClient]) -> None:
    """Bytes that came are handed out, and only then it is told that the rest is lost."""
    cut = OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nde"
    async with serving(answering([cut])) as base_url:
        source = await client(base_url).get("models")
        read = b""
        while len(read) < 5:
            read += await source.read()
        assert read == b"abcde"
        with pytest.raises(StreamBrokenError):
            await source.read()
        source.close()


async def test_an_idle_connection_that_was_closed_is_no_error(
    client: Callable[..., HttpClient],
) -> None:
    """Where the server closes it, the next question goes over a new one."""
    connections = 0
    last = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(EMPTY)
        if connections == 1:
            # The second request is read and not answered, as by a server that stops.
            await reader.readuntil(b"\r\n\r\n")
            last.set()
        writer.close()

    async with serving(serve) as base_url:
        http = client(base_url)
        await (await http.get("models")).read_all(10)
        await (await http.get("models")).read_all(10)
        assert last.is_set()
    assert connections == 2


async def test_a_question_is_not_sent_twice(client: Callable[..., HttpClient]) -> None:
    """A POST whose connection ends without an answer may have been acted on."""
    heard = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            heard += 1
        writer.close()

    async with serving(serve) as base_url:
        with pytest.raises(BackendUnavailableError):
            await client(base_url).post("chat/completions", b"")
    assert heard == 1


@pytest.mark.parametrize("end", [b"", b"rubbish\r\n\r\n"])
@pytest.mark.parametrize(
    "whole",
    [
        b"Content-Length: 3\r\n\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
    ],
)
async def test_more_than_the_answer_ends_the_connection(
    client: Callable[..., HttpClient], whole: bytes, end: bytes
) -> None:
    """Bytes that nobody asked for belong to no answer, neither this one nor a later one."""
    extra = OK + whole + OK + b"Content-Length: 3\r\n\r\nxyz" + end
    async with serving(answering([extra], close=False)) as base_url:
        http = client(base_url)
        for _ in range(2):
            assert await (await http.get("models")).read_all(10) == b"abc"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", "gzip"),
        (OK + b"X: " + b"y" * 70_000, "HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "HTTP"),
        (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nzz", "HTTP"),
    ],
)
async def test_what_cannot_be_read_is_off_protocol(
    client: Callable[..., HttpClient], data: bytes, said: str
) -> None:
    """Coded bodies, endless heads and nonsense are the server's fault, and said so."""
    async with serving(answering([data], close=False)) as base_url:
        with pytest.raises(BackendProtocolError, match=said):
            await client(base_url).get("models")


@pytest.mark.parametrize("data", [b"0\r\nX: ", b"1;x="])
async def test_trailers_have_an_end(client: Callable[..., HttpClient], data: bytes) -> None:
    """What follows a piece of a body, and is none, is not taken in without end."""
    endless = [OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n" + data, *[b"y" * 2**12] * 40]
    async with serving(answering(endless, close=False)) as base_url:
        source = await client(base_url).get("models")
        with anyio.fail_after(10), pytest.raises(StreamBrokenError):
            await source.read_all(10)


async def test_a_body_without_length_that_was_closed_here_is_broken(
    client: Callable[..., HttpClient],
) -> None:
    """Only the server's own end is the end of such a body."""
    async with serving(answering([OK + b"\r\nabc"], close=False)) as base_url:
        http = client(base_url)
        source = await http.get("models")
        assert await source.read() == b"abc"
        await http.close()
        with pytest.raises(StreamBrokenError):
            await source.read()


async def test_a_slow_reader_holds_the_server_back(client: Callable[..., HttpClient]) -> None:
    """What is not read is not taken in without end, and nothing of it is lost."""
    piece, pieces = b"x" * 2**16, 256
    head = OK + b"Content-Length: %d\r\n\r\n" % (len(piece) * pieces)
    async with serving(answering([head, *[piece] * pieces])) as base_url:
        source = await client(base_url).get("models")
        connection = source._connection
        assert connection is not None
        with anyio.fail_after(20):
            while not connection._paused:  # noqa: ASYNC110 - it tells nobody that it pauses
                await asyncio.sleep(0)
        assert connection._held_bytes < 4 * MOST_HELD_BYTES
        body = b""
        while data := await source.read():
            body += data
        assert len(body) == len(piece) * pieces
        source.close()


async def test_further_requests_wait_for_a_connection(
    client: Callable[..., HttpClient],
) -> None:
    """No more are open at once than allowed, and one that is let go serves who waits."""
    async with serving(answering([EMPTY], close=False)) as base_url:
        http = client(base_url, max_connections=1)
        first = await http.get("models")
        async with anyio.create_task_group() as group:

            async def second() -> None:
                await (await http.get("models")).read_all(1)

            group.start_soon(second)
            await anyio.wait_all_tasks_blocked()
            await first.read_all(1)
        assert len(http._connections) == 1


async def test_a_password_in_the_address_is_sent(client: Callable[..., HttpClient]) -> None:
    """It is for a proxy before the server, and no key stands in its place."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(EMPTY)
        writer.close()

    async with serving(serve) as base_url:
        await (await client(base_url.replace("//", "//me:p%20w@")).get("models")).read_all(1)
    assert b"Authorization: Basic bWU6cCB3\r\n" in heads[0]
    assert b"me:" not in heads[0]


async def test_tls_is_spoken_and_checked(
    client: Callable[..., HttpClient], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An https address is asked over TLS, by an authority that is trusted, else not at all."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(answering([EMPTY]), "127.0.0.1", 0, ssl=context)
    async with server:
        base_url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises(BackendUnavailableError, match=r"\(certificate verify failed: "):
            await client(base_url).get("models")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert await (await client(base_url).get("models")).read_all(1) == b""


@pytest.mark.parametrize("cut", [False, True])
async def test_a_body_without_length_is_not_cut_unseen_over_tls(
    client: Callable[..., HttpClient], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cut: bool
) -> None:
    """There an end that the server did not announce is somebody else's, and no end."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"\r\nabc")
        await writer.drain()
        if cut:
            writer.transport.abort()
        else:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        source = await client(f"https://127.0.0.1:{port}/v1").get("models")
        if cut:
            with pytest.raises(StreamBrokenError):
                await source.read_all(10)
        else:
            assert await source.read_all(10) == b"abc"
