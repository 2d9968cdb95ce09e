"""A backend with a queue before it: who gets a place, who waits, and who is refused at once."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tame_router.backends.queueing.limit import LimitRules
from tame_router.backends.queueing.places import MOST_LENGTHS
from tame_router.errors import (
    BackendOverloadedError,
    BackendSilentError,
    DeadlineExceededError,
)
from tests.backends.queueing.conftest import Make, error_of, of, waiting
from tests.fakes.generations import generation, read, text_of
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Silence

pytestmark = pytest.mark.anyio


async def test_an_answer_with_room_is_the_backends(queued: Make, fake_vllm: FakeVllm) -> None:
    """Where a place is free nothing is changed, and the place is given back."""
    backend = queued()
    pieces = await read(backend, generation())
    assert text_of(pieces) == text_of(await read(backend.backend, generation()))
    assert backend.places.under_way == backend.places.queued == 0
    assert await backend.ready()
    assert await backend.context_tokens() == fake_vllm.max_model_len


async def test_no_more_at_once_than_there_are_places(queued: Make, fake_vllm: FakeVllm) -> None:
    """Ten at once before two places: the server never has a third, and all are answered."""
    fake_vllm.slots.most = 2
    backend = queued(2)
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(read(backend, generation())) for _ in range(10)]
    assert len({text_of(answer.result()) for answer in answers}) == 1
    assert len(fake_vllm.chats) == 10
    assert backend.places.under_way == 0


async def test_who_waits_goes_by_tenant_and_priority(
    queued: Make, fake_vllm: FakeVllm, held: AsyncExitStack
) -> None:
    """First what an answer under way needs, then the higher priority, then each its share."""
    backend = queued(1)
    assert backend.places.spare == 1
    first = await held.enter_async_context(backend.open(of("x")))
    assert backend.places.spare == 0
    asked = [
        of("greedy", request_id="g0"),
        of("greedy", request_id="g1"),
        of("greedy", request_id="g2"),
        of("modest", request_id="m0"),
        of("urgent", request_id="u0", priority=1),
        of("greedy", request_id="w0", begun=True),
    ]
    async with asyncio.TaskGroup() as group:
        for number, one in enumerate(asked, 1):
            group.create_task(read(backend, one))
            await waiting(backend, number)
        async for _ in first:
            pass
        await held.aclose()
    order = [chat.headers["x-request-id"] for chat in fake_vllm.chats[1:]]
    assert order == ["w0", "u0", "g0", "m0", "g1", "g2"]


async def test_weights_are_shares(queued: Make, fake_vllm: FakeVllm, held: AsyncExitStack) -> None:
    """Of two tenants that both have much waiting one gets twice as much, as its weight says."""
    backend = queued(1, weights={"double": 2.0})
    await held.enter_async_context(backend.open(of("x")))
    async with asyncio.TaskGroup() as group:
        for number in range(12):
            tenant = "double" if number % 2 else "single"
            group.create_task(read(backend, of(tenant, request_id=tenant)))
            await waiting(backend, number + 1)
        await held.aclose()
    order = [chat.headers["x-request-id"] for chat in fake_vllm.chats[1:]]
    assert (order[:9].count("double"), order[:9].count("single")) == (6, 3)


async def test_the_queue_has_an_end(queued: Make, held: AsyncExitStack) -> None:
    """Who would stand further back than the queue is long is told when to come back."""
    backend = queued(1, length=2)
    await held.enter_async_context(backend.open(of("x")))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(read(backend, of("a"))) for _ in range(2)]
        await waiting(backend, 2)
        with pytest.raises(BackendOverloadedError, match="2 answers wait") as refused:
            await read(backend, of("a"))
        assert refused.value.metadata == {"queue": "length"}
        assert refused.value.retry_after_s == 1.0  # nothing is known of its pace yet
        # Another tenant stands before the second of the first one.
        tasks.append(group.create_task(read(backend, of("b"))))
        await waiting(backend, 3)
        for task in tasks:
            task.cancel()
    assert backend.places.queued == 0


async def test_the_queue_is_bounded_whoever_asks(queued: Make, held: AsyncExitStack) -> None:
    """However many tenants fill the queue, it gets no longer than a few times its length."""
    backend, length, tenants = queued(1, length=64), 64, 40
    await held.enter_async_context(backend.open(of("x")))
    refused = 0

    async def ask(tenant: str) -> None:
        nonlocal refused
        try:
            await read(backend, of(tenant))
        except BackendOverloadedError:
            refused += 1

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(ask(str(tenant))) for tenant in range(tenants) for _ in range(length)
        ]
        while backend.places.queued + refused < len(tasks):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        assert length < backend.places.queued <= length * MOST_LENGTHS
        for task in tasks:
            task.cancel()
    assert backend.places.queued == 0


async def test_nobody_waits_in_vain(queued: Make, held: AsyncExitStack) -> None:
    """Who would be called after its time is refused at once, and told when it is worth trying."""
    backend = queued(1, wait_s=30)
    for _ in range(50):
        backend.places._pace.ended("a", 4.0)
    await held.enter_async_context(backend.open(of("x")))
    now = asyncio.get_running_loop().time()
    for late in (
        of("a", deadline=now + 3.5),
        of("a", deadline=now + 60, begin_by=now + 3.5),
        of("a", first_token_timeout_s=3.5),
    ):
        with pytest.raises(BackendOverloadedError, match="its time is up") as refused:
            await read(backend, late)
        assert refused.value.metadata == {"queue": "deadline"}
        assert refused.value.retry_after_s == pytest.approx(4.0)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(read(backend, of("a", deadline=now + 60)))
        await waiting(backend, 1)
        task.cancel()


async def test_the_wait_has_an_end(queued: Make, held: AsyncExitStack) -> None:
    """A tenant's second is let in for so long at most; what an answer under way needs always is."""
    backend = queued(1, wait_s=5)
    for _ in range(50):
        backend.places._pace.ended("a", 4.0)
    await held.enter_async_context(backend.open(of("x")))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(read(backend, of("a")))]
        await waiting(backend, 1)
        with pytest.raises(BackendOverloadedError, match=r"come in 8 s, more than the 5 s") as no:
            await read(backend, of("a"))
        assert no.value.metadata == {"queue": "wait"}
        assert no.value.retry_after_s == pytest.approx(8.0)
        for number in range(4):
            tasks.append(group.create_task(read(backend, of("a", begun=True))))
            await waiting(backend, number + 2)
        # The first of another tenant may wait, however long it takes; its second may not.
        tasks.append(group.create_task(read(backend, of("b"))))
        await waiting(backend, 6)
        with pytest.raises(BackendOverloadedError, match="more than the 5 s"):
            await read(backend, of("b"))
        for task in tasks:
            task.cancel()


async def test_nobody_is_let_in_before_as_many_have_ended(
    queued: Make, held: AsyncExitStack
) -> None:
    """After the limit has come down a turn comes when those that are too many have ended."""
    backend = queued(1, limit=LimitRules(start=8, least=2, most=8), wait_s=5)
    for _ in range(50):
        backend.places._pace.ended("a", 2.0)
    for _ in range(8):
        await held.enter_async_context(backend.open(of("x")))
    loop = asyncio.get_running_loop()
    backend.places.adaptive.refused(began=loop.time(), now=loop.time(), under_way=2)
    with pytest.raises(BackendOverloadedError) as refused:
        backend.places.require_room(of("a", deadline=loop.time() + 6.9), loop.time())
    assert refused.value.retry_after_s == pytest.approx(7.0)
    backend.places.require_room(of("a", deadline=loop.time() + 7.1), loop.time())


async def test_a_deadline_passes_in_the_queue(queued: Make, held: AsyncExitStack) -> None:
    """Where the pace was not known, the wait ends with the deadline, or the caller's own limit."""
    backend = queued(1)
    await held.enter_async_context(backend.open(of("x")))
    now = asyncio.get_running_loop().time()
    with pytest.raises(DeadlineExceededError):
        await read(backend, of("a", deadline=now + 0.05))
    with pytest.raises(BackendOverloadedError, match="turn did not come"):
        await read(backend, of("a", first_token_timeout_s=0.05))
    assert (backend.places.queued, backend.places.under_way) == (0, 1)


async def test_waiting_uses_up_the_callers_own_limit(
    queued: Make, fake_vllm: FakeVllm, held: AsyncExitStack
) -> None:
    """A caller that gives the first token so long gives it to queue and server together."""
    backend = queued(1)
    await held.enter_async_context(backend.open(of("x")))
    fake_vllm.next(Silence())
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(error_of(backend, of("a", first_token_timeout_s=0.5)))
        await waiting(backend, 1)
        loop.call_later(0.3, lambda: group.create_task(held.aclose()))
    error = task.result()
    assert isinstance(error, BackendSilentError)
    assert error.impatient
    assert "first_token_timeout_s" in error.message
    assert loop.time() - begun >= 0.5


async def test_leaving_the_queue_leaves_it_at_once(
    queued: Make, fake_vllm: FakeVllm, held: AsyncExitStack
) -> None:
    """A caller that hangs up while it waits is not counted, not asked for, and holds nobody up."""
    backend = queued(1)
    await held.enter_async_context(backend.open(of("x", request_id="x")))
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(read(backend, of("a", request_id="gone")))
        await waiting(backend, 1)
        stays = group.create_task(read(backend, of("a", request_id="stays")))
        await waiting(backend, 2)
        gone.cancel()
        await waiting(backend, 1)
        await held.aclose()
    assert text_of(stays.result())
    assert [chat.headers["x-request-id"] for chat in fake_vllm.chats] == ["x", "stays"]


async def test_a_place_given_to_one_who_leaves_goes_on(
    queued: Make, fake_vllm: FakeVllm, held: AsyncExitStack
) -> None:
    """Where a caller leaves in the moment its turn comes, the next one has its place."""
    for leave_first in (True, False):
        backend = queued(1)
        async with AsyncExitStack() as holding, asyncio.TaskGroup() as group:
            await holding.enter_async_context(backend.open(of("x")))
            gone = group.create_task(read(backend, of("a")))
            await waiting(backend, 1)
            stays = group.create_task(read(backend, of("a")))
            await waiting(backend, 2)
            if leave_first:
                gone.cancel()
            await holding.aclose()
            gone.cancel()
        assert text_of(stays.result())
        assert (backend.places.queued, backend.places.under_way) == (0, 0)
