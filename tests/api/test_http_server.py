"""The HTTP port: its start, its slow readers, its end."""

import logging
import socket

import anyio
import pytest

from tame_router import app
from tame_router.admission.call import Call
from tame_router.answering.event import Delta
from tame_router.answering.join import Emit
from tame_router.config import Settings
from tame_router.errors import ConfigError
from tests.http_wire import BODY, closed, connect, exchange, get, post
from tests.router_fixture import changed
from tests.scripted_desk import BEGIN, REVISION, ScriptedDesk, serving_http

pytestmark = pytest.mark.anyio


class Endless(ScriptedDesk):
    """Writes until it is stopped.

    Attributes:
        words: Sent so far.
        begun: Set with the first of them.
        stopped: Set once it was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.words = 0
        self.begun, self.stopped = anyio.Event(), anyio.Event()

    async def answer(self, call: Call, emit: Emit) -> None:
        """Write."""
        self.calls.append(call)
        try:
            for event in BEGIN:
                await emit(event)
            while True:
                await emit(Delta(expert="legal", revision=REVISION, text="x" * 10_000))
                self.words += 1
                self.begun.set()
                await anyio.lowlevel.checkpoint()
        finally:
            self.stopped.set()


STREAM = post(BODY[:-1] + b',"stream":true}')


async def test_a_slow_reader_holds_the_answer_back(caplog: pytest.LogCaptureFixture) -> None:
    """What is not read is not written; leaving ends it."""
    caplog.set_level(logging.INFO)
    desk = Endless()
    async with serving_http(desk) as address:
        async with await connect(address) as stream:
            await stream.send(STREAM)
            await stream.receive()
            held = -1
            with anyio.fail_after(10):
                while desk.words != held:
                    held = desk.words
                    await anyio.sleep(0.2)
            assert 0 < held < 5_000
        with anyio.fail_after(5):
            await desk.stopped.wait()
    assert "call.cancelled" in {record.message for record in caplog.records}


async def test_after_the_grace_a_stream_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A stream that outlives the grace ends with an error event, and without [DONE]."""
    desk = Endless()
    data = bytearray()
    async with anyio.create_task_group() as group, serving_http(desk) as address:
        stream = await connect(address)
        await stream.send(STREAM)

        async def read() -> None:
            data.extend(await closed(stream))
            await stream.aclose()

        group.start_soon(read)
        await desk.begun.wait()
    assert b'"code":"BACKEND_UNAVAILABLE"' in data[-500:]
    assert b"[DONE]" not in data
    assert data.endswith(b"0\r\n\r\n")


async def test_while_draining_health_says_so(settings: Settings) -> None:
    """With an answer under way new connections are told that the service is stopping."""
    desk = Endless()
    async with anyio.create_task_group() as group, serving_http(desk) as address:
        stream = await connect(address)
        await stream.send(STREAM)
        await stream.receive()
        group.start_soon(_drained, address)
    await stream.aclose()


async def _drained(address: str) -> None:
    while True:
        status, _, body = await exchange(address, get("/health"))
        if status == 503:
            break
    assert body == {"status": "draining"}
    status, headers, body = await exchange(address, post())
    assert (status, headers["retry-after"]) == (503, "1")
    assert "stopping" in body["error"]["message"]


async def test_a_port_in_use_is_told_by_its_setting(settings: Settings) -> None:
    """The start fails with advice, and leaves no gRPC port behind."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match="TAME_HTTP__PORT"):
            async with app.running(changed(settings, http={"port": port})):
                pass


async def test_http_can_be_switched_off(settings: Settings) -> None:
    """Then there is gRPC alone."""
    found: list[str] = []
    async with app.running(
        changed(settings, http={"enabled": False}), announce_http=found.append
    ) as address:
        assert address
    assert found == []
