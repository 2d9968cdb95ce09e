"""A backend whose queue has stood for long: who still waits, and who is refused at once."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tame_router.backends.queueing.first_token import LEARNT
from tame_router.errors import BackendOverloadedError
from tests.backends.queueing.conftest import Make, error_of, of, waiting
from tests.fakes.generations import read

pytestmark = pytest.mark.anyio


async def test_who_waits_in_a_queue_that_stands_does_not_wait_long(
    queued: Make, held: AsyncExitStack
) -> None:
    """A burst may fill the queue; once it has not been empty for `wait_s` it is kept short."""
    backend = queued(1, wait_s=0.2)
    places = backend.places
    for _ in range(50):
        places._pace.ended("a", 0.01)
    for _ in range(LEARNT + 1):
        places.adaptive.first_token(began=0.0, now=0.03, prompt_chars=500)
    await held.enter_async_context(backend.open(of("x")))
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(read(backend, of("a"))) for _ in range(10)]
        await waiting(backend, 10)
        places.require_room(of("a"), loop.time())
        with pytest.raises(BackendOverloadedError, match=r"more than the 0\.03 s that are waited"):
            places.require_room(of("a"), loop.time() + 0.2)
        assert places.has_room(of("b"), loop.time() + 0.2)
        assert not places.has_room(of("a"), loop.time() + 0.2)
        assert (places.queued, places.under_way) == (10, 1)
        for task in tasks:
            task.cancel()


async def test_nobody_waits_where_others_come_all_the_time(
    queued: Make, held: AsyncExitStack
) -> None:
    """In a queue that stands a free place finds somebody at once: only who has less waits."""
    backend = queued(2, wait_s=1e-6)
    places = backend.places
    for _ in range(50):
        places._pace.ended("a", 1_000.0)
    places._standing.take(1_000.0)
    for _ in range(LEARNT + 1):
        places.adaptive.first_token(began=0.0, now=0.03, prompt_chars=500)
    for _ in range(2):
        await held.enter_async_context(backend.open(of("a")))
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(read(backend, of("a")))
        await waiting(backend, 1)
        while not places._standing.stands(loop.time()):  # noqa: ASYNC110 - time has to pass
            await asyncio.sleep(0)
        for _ in range(500):
            assert await error_of(backend, of("a"))
        task.cancel()
    assert places.queued == 0
    assert not places.has_room(of("a"), loop.time())
    assert places.has_room(of("b"), loop.time())
    assert places.has_room(of("a", priority=1), loop.time())


@pytest.mark.parametrize("aside", [False, True])
async def test_what_nobody_waits_for_is_no_load(
    queued: Make, held: AsyncExitStack, aside: bool
) -> None:
    """Copies that are sent away, behind all callers, let no queue stand on."""
    backend = queued(1, wait_s=2)
    places, now = backend.places, asyncio.get_running_loop().time()
    places._pace.ended("a", 100.0)
    places._standing.see(now - 3, waited_in=True)
    await held.enter_async_context(backend.open(of("x")))
    places._standing.see(now, waited_in=False)
    with pytest.raises(BackendOverloadedError):
        places.require_room(of("a", aside=aside, deadline=now + 5), now + 1.5)
    assert places._standing.stands(now + 2) is not aside
