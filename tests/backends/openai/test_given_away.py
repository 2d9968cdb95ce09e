"""Bytes of an answer that are given away as they arrive, and how its server is held back."""

import asyncio

import anyio
import pytest

from tame_router.backends.openai.http_connection import MOST_HELD_BYTES, HttpConnection
from tests.fakes.raw_http import OK

pytestmark = pytest.mark.anyio


class _Transport(asyncio.Transport):
    """Remembers whether it is read from."""

    reading = True

    def pause_reading(self) -> None:
        """Take note."""
        self.reading = False

    def resume_reading(self) -> None:
        """Take note."""
        self.reading = True

    def write(self, data: object) -> None:
        """Take what is asked, and send it nowhere."""


async def test_a_read_that_is_longer_than_what_is_held_does_not_stop_the_server() -> None:
    """TLS brings as much at once behind a slow caller; nobody is woken, so nobody reads on."""
    given: list[bytes] = []

    def take(data: bytes) -> bool:
        given.append(data)
        return True

    transport = _Transport()
    connection = HttpConnection(lambda _: None)
    connection.connection_made(transport)
    async with anyio.create_task_group() as group:
        group.start_soon(connection.ask, b"")
        await anyio.wait_all_tasks_blocked()
        connection.data_received(OK + b"Content-Length: %d\r\n\r\n" % (2 * MOST_HELD_BYTES))
    connection.arrived = take
    async with anyio.create_task_group() as group:
        group.start_soon(connection.more)
        await anyio.wait_all_tasks_blocked()
        connection.data_received(b"x" * (MOST_HELD_BYTES + 1))
        assert transport.reading
        group.cancel_scope.cancel()
    assert sum(map(len, given)) == MOST_HELD_BYTES + 1
