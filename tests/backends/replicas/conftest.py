"""A pool of three fakes that looks after them only when told to."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tame_router.backends.replicas.breaker import BreakerRules
from tame_router.backends.replicas.hedge import HedgeRules
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.backends.replicas.pool_spec import PoolSpec
from tame_router.backends.vllm.backend import VllmSpec
from tests.fakes.vllm import BASE_MODEL, FakeVllm

Fakes = tuple[FakeVllm, ...]
Hedged = Callable[..., Any]
RULES = BreakerRules(failures=2, cool_down_s=60)
ASKED_SOON = HedgeRules(after_s=0.25, quantile=0)


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


@pytest.fixture
def hedged(replicas: Fakes, notes: Notes) -> Hedged:
    """Give what makes a pool of the three that asks twice, and has looked at them."""

    @asynccontextmanager
    async def make(
        hedge: HedgeRules = ASKED_SOON, spec: VllmSpec | None = None, **rules: Any
    ) -> AsyncIterator[ReplicaPool]:
        server = spec or VllmSpec(base_model=BASE_MODEL, stall_timeout_s=5)
        pool = ReplicaPool(
            PoolSpec(
                name="local",
                replicas=tuple(replace(server, base_url=fake.base_url) for fake in replicas),
                rules=RULES,
                resume_wait_s=0.2,
                hedge=hedge,
                **rules,
            ),
            notes,
        )
        try:
            await pool.look()
            yield pool
            assert [one.standing.answers for one in pool.replicas] == [0, 0, 0]
            assert [one.standing.tokens for one in pool.replicas] == [0, 0, 0]
        finally:
            await pool.close()

    return make
