"""What a queue before a backend is made of, and whom it tells what happens in it. Values only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tame_router.backends.queueing.limit import LimitRules


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSpec:
    """A queue's rules.

    Attributes:
        name: The backend's name, for metrics.
        limit: How many answers the backend writes at once.
        length: Places in the queue, ≥ 0: nobody waits further back.
        wait_s: Longest wait that an answer is let in for whose tenant has one waiting, > 0.
        weights: Shares of tenants, by name, > 0; who is not named has 1.
    """

    name: str = ""
    limit: LimitRules = field(default_factory=LimitRules)
    length: int = 256
    wait_s: float = 2.0
    weights: Mapping[str, float] = field(default_factory=dict)


class QueueWitness(Protocol):
    """Is told what happens in queues."""

    def queue_refused(self, backend: str, why: str) -> None:
        """Take note that an answer was not let in: `length`, `wait` or `deadline`."""

    def queue_waited(self, backend: str, wait_s: float) -> None:
        """Take note how long an answer waited for its turn."""

    def queue_watched(
        self,
        backend: str,
        *,
        limit: Callable[[], float],
        under_way: Callable[[], float],
        queued: Callable[[], float],
    ) -> None:
        """Take note of what can be read of a queue: places, those that are taken, who waits."""
