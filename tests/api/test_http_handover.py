"""Kept connections of a port that others listen on too: they go over without losing a request."""

from typing import Any

import anyio
import pytest
from anyio.abc import TaskStatus

from tame_router.admission.call import Call
from tame_router.answering.event import Delta
from tame_router.answering.join import Emit
from tame_router.api import http_server
from tame_router.chat import FinishReason
from tests.http_wire import BODY, closed, connect, get, post, read_response
from tests.scripted_desk import BEGIN, REVISION, ScriptedDesk, ending, serving_http

pytestmark = pytest.mark.anyio

STREAM = post(BODY[:-1] + b',"stream":true}')
END = b"data: [DONE]\n\n"


class Held(ScriptedDesk):
    """Begins its answers, and ends them when it is let go.

    Attributes:
        asked: Set when the first is begun.
        let_go: Set when they may end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.let_go = anyio.Event(), anyio.Event()

    async def answer(self, call: Call, emit: Emit) -> None:
        """Write."""
        self.calls.append(call)
        self.asked.set()
        for event in (*BEGIN, Delta(expert="legal", revision=REVISION, text="word")):
            await emit(event)
        await self.let_go.wait()
        for event in ending(FinishReason.STOP):
            await emit(event)


async def served(desk: ScriptedDesk, stop: anyio.Event, *, task_status: TaskStatus[str]) -> None:
    """Serve until it is to stop, as one of several on the port."""
    async with serving_http(desk, reuse_port=True, grace_s=30) as address:
        task_status.started(address)
        await stop.wait()


async def leaves(address: str) -> None:
    """Wait until nothing listens any more."""
    with anyio.fail_after(10):
        while True:
            try:
                stream = await connect(address)
            except OSError:
                return
            await stream.aclose()


async def read_until(stream: Any, last: bytes) -> bytes:
    """Read a stream until something has come."""
    data = b""
    with anyio.fail_after(10):
        while last not in data:
            data += await stream.receive()
    return data


async def test_an_idle_connection_has_one_more_answer() -> None:
    """Which says that it is the last, and is; it is not refused."""
    desk, stop = Held(), anyio.Event()
    desk.let_go.set()
    async with anyio.create_task_group() as group:
        address: str = await group.start(served, desk, stop)
        async with await connect(address) as stream:
            await stream.send(post())
            status, headers, _ = await read_response(stream)
            assert (status, headers.get("connection")) == (200, None)
            stop.set()
            await leaves(address)
            await stream.send(post())
            status, headers, _ = await read_response(stream)
            assert (status, headers["connection"]) == (200, "close")
            assert await closed(stream) == b""


async def test_a_stream_under_way_has_one_more_answer_behind_it() -> None:
    """Its head had left before anybody knew: what is asked at once behind it is answered."""
    desk, stop = Held(), anyio.Event()
    async with anyio.create_task_group() as group:
        address: str = await group.start(served, desk, stop)
        async with await connect(address) as stream:
            await stream.send(STREAM)
            head = await read_until(stream, b"data: ")
            assert b"connection: close" not in head
            stop.set()
            await leaves(address)
            desk.let_go.set()
            await read_until(stream, END)
            await stream.send(post())
            data = await closed(stream)
            assert data.partition(b"HTTP/1.1 200")[2].count(b"connection: close") == 1


async def test_an_answer_that_has_not_begun_says_it_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is waited for behind it."""
    monkeypatch.setattr(http_server, "LINGER_S", 60.0)
    desk, stop = Held(), anyio.Event()
    async with anyio.create_task_group() as group:
        address: str = await group.start(served, desk, stop)
        async with await connect(address) as stream:
            await stream.send(post())
            with anyio.fail_after(10):
                await desk.asked.wait()
            stop.set()
            await leaves(address)
            desk.let_go.set()
            status, headers, _ = await read_response(stream)
            assert (status, headers["connection"]) == (200, "close")
            assert await closed(stream) == b""


async def test_health_says_draining_all_the_same() -> None:
    """On a kept connection too, and ends it."""
    desk, stop = ScriptedDesk(), anyio.Event()
    async with anyio.create_task_group() as group:
        address: str = await group.start(served, desk, stop)
        async with await connect(address) as stream:
            await stream.send(get("/health"))
            assert (await read_response(stream))[0] == 200
            stop.set()
            await leaves(address)
            await stream.send(get("/health"))
            status, headers, _ = await read_response(stream)
            assert (status, headers["connection"]) == (503, "close")


async def test_a_connection_on_which_nothing_is_asked_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is waited for a little while, unless a request has begun to come."""
    monkeypatch.setattr(http_server, "LINGER_S", 0.1)
    desk, stop = Held(), anyio.Event()
    desk.let_go.set()
    async with anyio.create_task_group() as group:
        address: str = await group.start(served, desk, stop)
        async with await connect(address) as idle, await connect(address) as slow:
            await slow.send(post()[:40])
            stop.set()
            assert await closed(idle) == b""
            await slow.send(post()[40:])
            status, headers, _ = await read_response(slow)
            assert (status, headers["connection"]) == (200, "close")
