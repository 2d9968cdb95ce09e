"""What a queue before a backend is made of, who asks there, and whom it tells. Values only."""

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


class Applicant(Protocol):
    """What of an answer says whether it is let in: a question has it, and a generation."""

    @property
    def tenant(self) -> str:
        """Who asks."""

    @property
    def priority(self) -> int:
        """Who goes first: higher before lower."""

    @property
    def begun(self) -> bool:
        """Whether others have written for the answer already."""

    @property
    def aside(self) -> bool:
        """Whether nobody waits for it."""

    @property
    def deadline(self) -> float | None:
        """Point on the event loop's clock by which all of it is to be there."""

    @property
    def begin_by(self) -> float | None:
        """Point by which its first token is."""

    @property
    def first_token_timeout_s(self) -> float | None:
        """Longest wait for that token."""


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
