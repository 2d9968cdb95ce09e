"""A replica that is slower than the others, as callers notice it."""

import anyio
import pytest

from tame_router.backends.backend import Generation
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.chat import Message, Role, Sampling
from tests.backends.replicas.conftest import Fakes
from tests.fakes.vllm_script import Pace

pytestmark = pytest.mark.anyio

_SLOW = Pace(first_token_s=0.4, answer_tokens=4)
_QUICK = Pace(answer_tokens=4)


async def write(pool: ReplicaPool, number: int) -> None:
    """Have the first answer of a conversation written by the base model."""
    generation = Generation(
        revision="",
        messages=(Message(role=Role.USER, content=f"第 {number:03} 題"),),
        sampling=Sampling(),
        request_id="r",
    )
    async with pool.open(generation) as pieces:
        async for _ in pieces:
            pass


async def shares(pool: ReplicaPool, replicas: Fakes, first: int, *, at_once: int) -> list[float]:
    """Have 60 answers written, so many at once; give the share of each replica."""
    for fake in replicas:
        fake.forget()
    for begin in range(first, first + 60, at_once):
        async with anyio.create_task_group() as group:
            for number in range(begin, begin + at_once):
                group.start_soon(write, pool, number)
    return [len(fake.chats) / 60 for fake in replicas]


async def test_its_share_falls_and_comes_back(pool: ReplicaPool, replicas: Fakes) -> None:
    """Where first words come late fewer answers go, and as many as before when it is mended."""
    await pool.look()
    for fake in replicas:
        fake.pace = _QUICK
    before = await shares(pool, replicas, 0, at_once=4)
    assert min(before) > 0.15
    slow = replicas[1]
    slow.pace = _SLOW
    await shares(pool, replicas, 100, at_once=12)  # it is noticed
    assert pool.replicas[1].standing.lateness(anyio.current_time()) > 1
    during = await shares(pool, replicas, 200, at_once=4)
    assert during[1] < 0.5 * before[1]
    assert min(during[0], during[2]) > 0.25
    slow.pace = _QUICK
    for first in range(300, 900, 100):  # the few that it still gets show that it is mended
        await shares(pool, replicas, first, at_once=12)
    after = await shares(pool, replicas, 900, at_once=4)
    assert after[1] > 2 * during[1]
