"""The search for leaks, in short: what is counted is what it was, whatever became of requests."""

import pytest

from bench import leaks
from tame_router.config import Settings
from tests.fakes.vllm import FakeVllm
from tests.router_fixture import changed

pytestmark = pytest.mark.anyio

REQUESTS = 1_000
GROWN_MB = 64
"""Loose: what the allocator keeps, and caches that fill up."""


async def test_nothing_stays_behind(pooled: Settings, replicas: tuple[FakeVllm, ...]) -> None:
    """After cancels, deadlines and faults descriptors, tasks and connections are what they were."""
    for fake in replicas:
        fake.pace = leaks.PACE
    settings = changed(pooled, local=leaks.BACKEND)
    found = await leaks.run(settings, replicas, requests=REQUESTS, seed=4, at_once=32)
    assert found.outcomes["whole"] > REQUESTS / 4
    assert found.outcomes["left"]
    assert found.outcomes["DEADLINE_EXCEEDED"]
    assert found.after.settled(found.before), (found.before, found.after)
    assert found.after.memory_mb < found.before.memory_mb + GROWN_MB
