"""What a pool of replicas is made of, and whom it tells what becomes of them. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tame_router.backends.replicas.breaker import BreakerRules
from tame_router.backends.replicas.hedge import HedgeRules
from tame_router.backends.replicas.source import Source
from tame_router.backends.vllm.backend import VllmSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """A pool's replicas and rules.

    Attributes:
        replicas: Those of the beginning; at least one where `server` is absent.
        name: The backend's name, for log and metrics.
        server: What holds for one that comes later, its address excepted; None: as the first.
        source: Names the replicas from now on; None: nobody does.
        refresh_interval_s: Time between two looks at it, > 0.
        rules: When a replica's breaker opens.
        retry_share: Second tries per answer in the long run, in [0, 1].
        retry_burst: Second tries at once, ≥ 0.
        most_failovers: Replicas that one answer may leave, ≥ 0.
        health_interval_s: Time between checks of a replica that is well.
        metrics_interval_s: Time between two looks at a replica's `/metrics`; 0: there are none.
        probe_timeout_s: Longest time that the one token of a probe may take.
        prepare_timeout_s: Longest time that a replica may take to load one revision.
        resume_wait_s: How long an answer that has begun waits for a replica where none is ready.
        hedge: When an answer is asked of a second replica too; None: never.
    """

    replicas: tuple[VllmSpec, ...]
    name: str = ""
    server: VllmSpec | None = None
    source: Source | None = None
    refresh_interval_s: float = 10.0
    rules: BreakerRules = field(default_factory=BreakerRules)
    retry_share: float = 0.2
    retry_burst: float = 64
    most_failovers: int = 8
    health_interval_s: float = 2.0
    metrics_interval_s: float = 5.0
    probe_timeout_s: float = 10.0
    prepare_timeout_s: float = 60.0
    resume_wait_s: float = 10.0
    hedge: HedgeRules | None = None


class Witness(Protocol):
    """Is told what becomes of replicas and answers."""

    def failover(self, backend: str, why: str, how: str) -> None:
        """Take note that an answer left a replica: why, and whether it was begun anew."""

    def hedge(self, backend: str, outcome: str) -> None:
        """Take note of what became of a first word that was late; see `HedgeOutcome`."""

    def replicas(self, backend: str, counts: Mapping[str, int]) -> None:
        """Take note how many replicas are in each state."""

    def replicas_out(self, backend: str, counts: Mapping[str, int]) -> None:
        """Take note how many replicas get no answers, for each reason there has been."""
