"""Which connections are lent again, to whom, and which requests are sent once more."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable

import anyio
import pytest

from tame_router.backends.openai.http_client import HttpClient
from tame_router.backends.vllm.backend import VllmBackend
from tame_router.errors import (
    BackendUnavailableError,
    DeadlineExceededError,
    StreamBrokenError,
)
from tests.fakes.generations import generation
from tests.fakes.raw_http import EMPTY, OK, answering, serving

pytestmark = pytest.mark.anyio

STREAM = OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
ABC = OK + b"Content-Length: 3\r\n\r\nabc"


def event(text: str) -> bytes:
    """Write an event of an answer, as one chunk."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    data = b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


async def request(reader: asyncio.StreamReader) -> None:
    """Read one request whole."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length or b"0"))


async def test_an_answer_out_of_time_reads_nothing_of_anothers(
    connect: Callable[..., VllmBackend],
) -> None:
    """A body that ended without [DONE] while nobody read must not lend its reader's connection."""
    answers = 0
    end, more = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answers
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await request(reader)
                answers += 1
                writer.write(STREAM + event(f"answer {answers}"))
                if answers == 1:
                    await end.wait()
                    writer.write(b"0\r\n\r\n")
                else:
                    await more.wait()
                    writer.write(event("secret"))
        writer.close()

    async with serving(serve) as base_url:
        backend = connect(base_url=base_url)
        deadline = asyncio.get_running_loop().time() + 0.2
        first = await backend.start(generation(deadline=deadline))
        assert (await anext(first)).text == "answer 1"
        end.set()
        with anyio.fail_after(10):
            while first._too_late is None:  # noqa: ASYNC110 - its timer tells nobody
                await asyncio.sleep(0.01)
        async with backend.open(generation()) as second:
            assert (await anext(second)).text == "answer 2"
            more.set()
            with anyio.fail_after(10), pytest.raises(DeadlineExceededError):
                await anext(first)
        first.close()


async def test_a_stream_that_was_let_go_is_not_read(client: Callable[..., HttpClient]) -> None:
    """Its connection is another's by then."""
    async with serving(answering([ABC], close=False)) as base_url:
        http = client(base_url)
        first = await http.get("models")
        await first.read_all(10)
        second = await http.get("models")
        with pytest.raises(StreamBrokenError, match="let go"):
            await first.read()
        assert await second.read_all(10) == b"abc"
        assert len(http._connections) == 1


async def test_a_reader_that_was_woken_keeps_its_connection(
    client: Callable[..., HttpClient],
) -> None:
    """Between the end of a body and its reader's turn nobody else may be given the connection."""
    async with serving(answering([OK + b"Content-Length: 3\r\n\r\n"], close=False)) as base_url:
        http = client(base_url)
        source = await http.get("models")
        connection = source._connection
        assert connection is not None
        read: list[bytes] = []
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                read.append(await source.read())

            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            connection.data_received(b"abc")
            connection._parts.clear()  # as if it had been read
            source.close()
            assert http._idle == []
        assert read == [b""]


async def test_nothing_is_sent_after_closing(client: Callable[..., HttpClient]) -> None:
    """Requests that wait for a place when the client is closed must not go out."""
    heard = 0
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await request(reader)
                heard += 1
                asked.set()
        writer.close()

    refused = 0
    async with serving(serve) as base_url:
        http = client(base_url, max_connections=1)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:

                async def ask() -> None:
                    nonlocal refused
                    with pytest.raises(BackendUnavailableError):
                        await http.post("x", b"{}")
                    refused += 1

                for _ in range(3):
                    group.start_soon(ask)
                await asked.wait()
                await http.close()
        assert http._connections == set()
    assert (heard, refused) == (1, 3)


async def test_a_question_goes_out_again_where_an_idle_connection_was_closed(
    client: Callable[..., HttpClient],
) -> None:
    """A FIN that lies in the kernel unseen loses no question, and it is answered once."""
    writers: list[asyncio.StreamWriter] = []
    heard = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await request(reader)
                heard += 1
                writer.write(ABC)
        writer.close()

    async with serving(serve) as base_url:
        http = client(base_url)
        for _ in range(3):
            await (await http.post("x", b"{}")).read_all(10)
            # No turn of the loop between this and the next request.
            writers[-1].get_extra_info("socket").shutdown(socket.SHUT_WR)
        await (await http.post("x", b"{}")).read_all(10)
    assert heard >= 4


async def test_a_question_is_not_repeated_once_something_was_heard(
    client: Callable[..., HttpClient],
) -> None:
    """An answer that began and broke before its head was whole is told as broken."""
    heard = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        await request(reader)
        heard += 1
        writer.write(ABC)
        await request(reader)
        heard += 1
        writer.write(OK)
        writer.close()

    async with serving(serve) as base_url:
        http = client(base_url)
        await (await http.post("x", b"{}")).read_all(10)
        with pytest.raises(BackendUnavailableError):
            await http.post("x", b"{}")
    assert heard == 2


async def test_a_connection_that_is_known_to_be_closing_is_not_lent(
    client: Callable[..., HttpClient],
) -> None:
    """What was closed by either side in this round of the loop is passed over."""
    async with serving(answering([ABC], close=False)) as base_url:
        http = client(base_url)
        for spoil in (b"HTTP/1.1 408 Request Timeout\r\n\r\n", None):
            await (await http.post("x", b"{}")).read_all(10)
            idle = http._idle[-1]
            if spoil is None:
                idle.eof_received()
            else:
                idle.data_received(spoil)
            assert http._taken() is None


async def test_an_empty_answer_keeps_its_connection(client: Callable[..., HttpClient]) -> None:
    """A coding that is empty, or none, is plain."""
    for coding in (b"", b"identity", b"Identity "):
        plain = EMPTY.replace(b"\r\n\r\n", b"\r\nContent-Encoding: " + coding + b"\r\n\r\n")
        async with serving(answering([plain])) as base_url:
            assert await (await client(base_url).get("x")).read_all(1) == b""
