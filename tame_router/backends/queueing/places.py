"""The places at a backend: who gets one, who waits for one, and who is told to come back later."""

import asyncio
from typing import Final

from tame_router.backends.backend import RETRY_AFTER_S, Generation
from tame_router.backends.patience import too_late
from tame_router.backends.queueing.fair_queue import FairQueue
from tame_router.backends.queueing.limit import AdaptiveLimit
from tame_router.backends.queueing.pace import Pace
from tame_router.backends.queueing.spec import QueueSpec, QueueWitness
from tame_router.errors import BackendOverloadedError, DeadlineExceededError

MOST_LENGTHS: Final = 4
"""The queue is never longer than so many times its length: several tenants may each have found
less than a length before them."""

BEGUN: Final = 1_000
"""Priority of what an answer under way still needs; tenants' end at 100."""

_LEAST_RETRY_S: Final = 0.05
_MOST_RETRY_S: Final = 60.0


class Places:
    """The places of one backend.

    Args:
        spec: The rules.
        witness: Is told what happens; None: nobody is.

    Attributes:
        adaptive: How many places there are.
        under_way: Answers that have one.
    """

    def __init__(self, spec: QueueSpec, witness: QueueWitness | None = None) -> None:
        self._spec = spec
        self._witness = witness
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()
        self._pace = Pace()
        self.adaptive = AdaptiveLimit(spec.limit)
        self.under_way = 0
        if witness is not None:
            witness.queue_watched(
                spec.name,
                limit=lambda: self.adaptive.value,
                under_way=lambda: self.under_way,
                queued=lambda: len(self._queue),
            )

    @property
    def queued(self) -> int:
        """Answers that wait."""
        return len(self._queue)

    @property
    def crowded(self) -> bool:
        """Whether all places are taken."""
        return self.under_way >= self.adaptive.value

    @property
    def spare(self) -> float:
        """Places that nobody has and nobody waits for."""
        return 0.0 if self._queue else self.adaptive.value - self.under_way

    def free(self) -> bool:
        """Take a place where one is free and nobody waits for it; tell whether that was so."""
        if self.under_way >= self.adaptive.value or self._queue:
            return False
        self.under_way += 1
        return True

    async def turn(self, generation: Generation, now: float) -> None:
        """Wait for a place, and take it.

        Args:
            generation: What is asked.
            now: When.

        Raises:
            BackendOverloadedError: At once, where it would take too long; after the caller's own
                limit on the first token, where it took longer than it looked.
            DeadlineExceededError: When the deadline passes first.
        """
        tenant, priority = generation.tenant, BEGUN if generation.begun else generation.priority
        until = _until(generation, now)
        self._let_in(generation, priority, until, now)
        place = asyncio.get_running_loop().create_future()
        cost = self._pace.cost_s(tenant) / self._spec.weights.get(tenant, 1.0)
        turn = self._queue.put(tenant, priority, cost, place)
        try:
            async with asyncio.timeout_at(until):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self._leave()  # it was given a place in the moment in which it left
            else:
                self._queue.discard(turn)
            if isinstance(error, TimeoutError):
                raise self._given_up(generation) from None
            raise
        if self._witness is not None:
            waited_s = asyncio.get_running_loop().time() - now
            self._witness.queue_waited(self._spec.name, waited_s)

    def end(self, tenant: str, held_s: float, *, failed: bool) -> None:
        """Give a place back.

        Args:
            tenant: Whose answer had it.
            held_s: For how long.
            failed: It failed before its first word.
        """
        self._pace.ended(tenant, held_s, failed=failed)
        self._leave()

    def move(self) -> None:
        """Let in who is next, as far as there are places."""
        while self._queue and self.under_way < self.adaptive.value:
            place = self._queue.pop()
            if not place.done():  # its caller has left, and has not been told yet
                self.under_way += 1
                place.set_result(None)

    def _leave(self) -> None:
        self.under_way -= 1
        self.move()

    def _let_in(
        self, generation: Generation, priority: int, until: float | None, now: float
    ) -> None:
        """Refuse at once who would wait in vain, or for too long.

        Raises:
            BackendOverloadedError: When somebody would.
        """
        ahead = self._queue.ahead(generation.tenant, priority)
        wait_s = self._pace.wait_s(ahead, self.adaptive.value)
        if wait_s is not None and until is not None and now + wait_s >= until:
            raise self._refused(
                "deadline",
                f"{len(self._queue)} answers wait for the backend; this one's turn would come in"
                f" {wait_s:.2g} s, and its time is up in {until - now:.2g} s: allow more time, or",
            )
        if generation.begun:
            return
        if ahead >= self._spec.length or len(self._queue) >= MOST_LENGTHS * self._spec.length:
            raise self._refused(
                "length",
                f"the backend has as much work as it can do, and {len(self._queue)} answers wait;",
            )
        # One of each tenant may wait for as long as a turn takes: where places are held for
        # minutes, whoever asks most often would else find each that becomes free.
        if wait_s is None or wait_s <= self._spec.wait_s:
            return
        if self._queue.waits(generation.tenant):
            raise self._refused(
                "wait",
                "the backend has as much work as it can do, and this answer's turn would come in"
                f" {wait_s:.2g} s, more than the {self._spec.wait_s:g} s that are waited;",
            )

    def _refused(self, why: str, message: str) -> BackendOverloadedError:
        """Give the refusal; it says when those that wait now will have had their turn."""
        wait_s = self._pace.wait_s(len(self._queue), self.adaptive.value)
        retry_s = RETRY_AFTER_S if wait_s is None else wait_s
        retry_s = min(max(retry_s, _LEAST_RETRY_S), _MOST_RETRY_S)
        if self._witness is not None:
            self._witness.queue_refused(self._spec.name, why)
        return BackendOverloadedError(
            f"{message} try again in {retry_s:.2g} s",
            metadata={"queue": why},
            retry_after_s=retry_s,
        )

    def _given_up(self, generation: Generation) -> BackendOverloadedError | DeadlineExceededError:
        """Give the error for having waited in vain."""
        now, deadline = asyncio.get_running_loop().time(), generation.deadline
        if deadline is not None and now >= deadline:
            return too_late()
        return self._refused(
            "deadline", "the answer's turn did not come in the time in which it has to begin;"
        )


def _until(generation: Generation, now: float) -> float | None:
    """Tell until when an answer can wait for its turn; None: as long as it takes."""
    points = [generation.deadline, generation.begin_by]
    if generation.first_token_timeout_s is not None:
        points.append(now + generation.first_token_timeout_s)
    return min((point for point in points if point is not None), default=None)
