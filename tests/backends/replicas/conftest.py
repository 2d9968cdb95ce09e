"""A pool of three fakes that looks after them only when told to."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from random import Random

import pytest

from tame_router.backends.replicas.breaker import BreakerRules
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.backends.replicas.pool_spec import PoolSpec
from tame_router.backends.vllm.backend import VllmSpec
from tests.fakes.vllm import BASE_MODEL, FakeVllm

Fakes = tuple[FakeVllm, ...]
RULES = BreakerRules(failures=2, cool_down_s=60)


class Notes:
    """Takes note of what a pool tells."""

    def __init__(self) -> None:
        self.failovers: list[tuple[str, str, str]] = []
        self.hedges: list[str] = []
        self.counts: Mapping[str, int] = {}
        self.out: Mapping[str, int] = {}

    def failover(self, backend: str, why: str, how: str) -> None:
        """Keep it."""
        self.failovers.append((backend, why, how))

    def hedge(self, backend: str, outcome: str) -> None:
        """Keep it."""
        self.hedges.append(outcome)

    def replicas(self, backend: str, counts: Mapping[str, int]) -> None:
        """Keep it."""
        self.counts = dict(counts)

    def replicas_out(self, backend: str, counts: Mapping[str, int]) -> None:
        """Keep it."""
        self.out = dict(counts)


@pytest.fixture
def notes() -> Notes:
    """Give an empty sheet."""
    return Notes()


@pytest.fixture
async def pool(replicas: Fakes, notes: Notes) -> AsyncIterator[ReplicaPool]:
    """Give a pool of the three fakes that looks after them only when told to."""
    spec = VllmSpec(base_model=BASE_MODEL, stall_timeout_s=5)
    pool = ReplicaPool(
        PoolSpec(
            name="local",
            replicas=tuple(replace(spec, base_url=fake.base_url) for fake in replicas),
            rules=RULES,
            resume_wait_s=0.2,
        ),
        notes,
        Random(5),
    )
    yield pool
    await pool.close()
