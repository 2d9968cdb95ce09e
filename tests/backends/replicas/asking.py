"""Asks a pool of fakes for answers, and looks at what they were asked."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread

from tame_router.backends.backend import Generation
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.chat import Message, Role, Sampling, Usage
from tests.backends.replicas.conftest import Fakes
from tests.fakes.vllm_script import Fault, Received

QUESTION = Generation(
    revision="",
    messages=(Message(role=Role.USER, content="?"),),
    sampling=Sampling(),
    request_id="r",
)


def once(replicas: Fakes, *faults: Fault) -> None:
    """Let the next answers go wrong, one fault each, on whichever replicas write them."""
    replicas[0].share_faults(replicas)
    replicas[0].forgive()
    replicas[0].next(*faults)


def chats(replicas: Fakes) -> list[Received]:
    """Give all that was asked."""
    return [chat for fake in replicas for chat in fake.chats]


def errors(pool: ReplicaPool) -> int:
    """Give the errors that replicas are blamed for."""
    return sum(round(one.standing.errors(anyio.current_time())) for one in pool.replicas)


async def write(pool: ReplicaPool, asked: Generation = QUESTION) -> tuple[str, Usage]:
    """Have an answer written."""
    text, usages = "", []
    async with pool.open(asked) as pieces:
        async for piece in pieces:
            text += piece.text
            usages += [piece.usage] if piece.usage else []
    (usage,) = usages
    return text, usage


async def come(happened: Callable[[], bool]) -> None:
    """Wait until something has happened."""
    with anyio.fail_after(10):
        while not happened():  # noqa: ASYNC110 - what is waited for has no event, or another thread's
            await anyio.sleep(0.01)


async def asked(replicas: Fakes, count: int) -> None:
    """Wait until so many answers were asked for."""
    await come(lambda: len(chats(replicas)) >= count)


@asynccontextmanager
async def held(happened: Callable[[], bool]) -> AsyncIterator[threading.Event]:
    """Give an event that is set when something has happened."""
    hold = threading.Event()

    async def let_go() -> None:
        await come(happened)
        hold.set()

    async with anyio.create_task_group() as group:
        group.start_soon(let_go)
        yield hold


async def closed(*chats: Received) -> bool:
    """Wait until the client has left all of these before their ends."""
    left = [await anyio.to_thread.run_sync(chat.disconnected.wait, 5) for chat in chats]
    return all(left)
