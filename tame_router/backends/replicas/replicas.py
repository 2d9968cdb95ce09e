"""The seam to the replicas that may write an answer."""

from collections.abc import Mapping
from typing import Protocol

from tame_router.backends.backend import Generation
from tame_router.backends.replicas.choice import Ask
from tame_router.backends.replicas.failure import Failure
from tame_router.backends.replicas.race import Seconds
from tame_router.backends.replicas.replica import Replica
from tame_router.backends.replicas.retry_budget import RetryBudget
from tame_router.errors import TameError


class Replicas(Seconds, Protocol):
    """What an answer asks of the replicas' pool.

    Attributes:
        budget: What second tries are paid from.
        most_failovers: Replicas that one answer may leave.
        resume_wait_s: Time that an answer which has begun waits for a replica to go on.
    """

    budget: RetryBudget
    most_failovers: int
    resume_wait_s: float

    async def find(
        self,
        ask: Ask,
        tried: Mapping[Replica, Failure],
        error: TameError | None,
        until: float | None,
        deadline: float | None = None,
    ) -> Replica:
        """Choose a replica for an answer; see `ReplicaPool.find`."""

    def failed(self, replica: Replica, failure: Failure, error: TameError, revision: str) -> None:
        """Take note that a replica failed an answer."""

    def moved(self, failure: Failure, *, begun: bool) -> None:
        """Take note that an answer is asked of another replica; `begun`: in its middle."""

    def hedge_after_s(self, generation: Generation, ask: Ask) -> float | None:
        """Tell how long one replica alone is waited for; None: as long as it takes."""
