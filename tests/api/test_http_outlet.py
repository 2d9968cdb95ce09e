"""Where a connection's bytes leave: which of them leave together."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tame_router.api.http_outlet import Outlet

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Outlet, socket.socket]]:
    """Give an outlet, and the socket at its other end."""
    near, far = socket.socketpair()
    far.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
    try:
        yield Outlet(transport), far
    finally:
        transport.abort()
        far.close()


def arrived(far: socket.socket) -> bytes:
    """Give what can be read now; empty: nothing, or the end."""
    try:
        return far.recv(1024)
    except BlockingIOError:
        return b""


async def test_what_is_kept_back_leaves_with_the_next() -> None:
    """A write that is kept back comes with the one behind it, in order, and nothing after waits."""
    async with connected() as (outlet, far):
        outlet.hold()
        outlet.write(b"status ")
        assert arrived(far) == b""
        outlet.write(b"words")
        assert arrived(far) == b"status words"
        outlet.write(b" more")
        assert arrived(far) == b" more"


async def test_nothing_is_kept_back_unasked() -> None:
    """Without `hold` each write leaves by itself."""
    async with connected() as (outlet, far):
        outlet.write(b"one")
        assert arrived(far) == b"one"


async def test_closing_writes_what_was_kept_back() -> None:
    """A connection that is closed behind a status has sent it."""
    async with connected() as (outlet, far):
        outlet.hold()
        outlet.write(b"status")
        outlet.close()
        assert outlet.is_closing()
        await asyncio.sleep(0)
        assert arrived(far) == b"status"


async def test_holding_nothing_holds_nothing_over() -> None:
    """A connection that is closed before the write that was to be kept back sends nothing."""
    async with connected() as (outlet, far):
        outlet.hold()
        outlet.close()
        await asyncio.sleep(0)
        assert arrived(far) == b""
