"""Queues before the fake server, and those who wait in them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from msgspec.structs import replace

from tame_router.backends.backend import Generation
from tame_router.backends.queueing.limit import LimitRules
from tame_router.backends.queueing.queued import QueuedBackend
from tame_router.backends.queueing.spec import QueueSpec
from tame_router.backends.vllm.backend import VllmBackend
from tests.fakes.generations import generation, read

Make = Callable[..., QueuedBackend]


@pytest.fixture
def queued(connect: Callable[..., VllmBackend]) -> Make:
    """Give a maker of queues before the fake server; `places` is a limit that does not move."""

    def make(places: int = 2, **fields: Any) -> QueuedBackend:
        limit = LimitRules(start=places, least=places, most=places)
        backend = connect(**fields.pop("backend", {}))
        return QueuedBackend(backend, QueueSpec(**{"limit": limit, **fields}))

    return make


@pytest.fixture
async def held() -> AsyncIterator[AsyncExitStack]:
    """Give what holds answers open until the test ends."""
    async with AsyncExitStack() as stack:
        yield stack


def of(tenant: str, **fields: Any) -> Generation:
    """Give what a tenant asks."""
    return replace(generation(), tenant=tenant, **fields)


async def waiting(backend: QueuedBackend, count: int) -> None:
    """Let other tasks run until so many answers wait."""
    async with asyncio.timeout(10):
        while backend.places.queued != count:  # noqa: ASYNC110 - the queue tells nobody
            await asyncio.sleep(0)


async def error_of(backend: QueuedBackend, asked: Generation) -> Exception | None:
    """Give the error that an answer ends with."""
    try:
        await read(backend, asked)
    except Exception as error:
        return error
    return None
