"""The places at a backend: who gets one, who waits for one, and who is told to come back later."""

import asyncio
from typing import Final

from tame_router.backends.backend import RETRY_AFTER_S, Generation
from tame_router.backends.patience import too_late
from tame_router.backends.queueing.fair_queue import FairQueue
from tame_router.backends.queueing.limit import AdaptiveLimit
from tame_router.backends.queueing.pace import Pace
from tame_router.backends.queueing.shares import Shares
from tame_router.backends.queueing.spec import Applicant, QueueSpec, QueueWitness
from tame_router.backends.queueing.standing_queue import StandingQueue
from tame_router.errors import BackendOverloadedError, DeadlineExceededError

MOST_LENGTHS: Final = 4
"""The queue is never longer than so many times its length: several tenants may each have found
less than a length before them."""

BEGUN: Final = 1_000
"""Priority of what an answer under way still needs; tenants' end at 100."""

_BRIEF_TURNS: Final = 2
"""How many wait in a queue that stands, at least: a place that becomes free is taken at once."""

_IDLE: Final = 1 / 32
"""Share of its time that a place may be free where nobody waits for it."""

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
        self._queue: FairQueue[tuple[str, asyncio.Future[None]]] = FairQueue()
        self._pace = Pace()
        self._standing = StandingQueue(spec.wait_s)
        self._shares = Shares(spec.weights)
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

    def free(self, tenant: str) -> bool:
        """Take a place where one is free and nobody waits for it; tell whether that was so."""
        if self._all_taken():
            return False
        self._take(tenant)
        return True

    def has_room(self, applicant: Applicant, now: float) -> bool:
        """Tell whether an answer would be let in now; it takes neither a place nor a turn.

        Args:
            applicant: Whose answer.
            now: When.
        """
        return not self._all_taken() or self._refusal(applicant, now) is None

    def require_room(self, applicant: Applicant, now: float) -> None:
        """Make sure that an answer would be let in now; it takes neither a place nor a turn.

        Args:
            applicant: Whose answer.
            now: When.

        Raises:
            BackendOverloadedError: When it would not.
        """
        if self._all_taken():
            self._let_in(applicant, now)

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
        self._let_in(generation, now)
        tenant, until = generation.tenant, _until(generation, now)
        place = asyncio.get_running_loop().create_future()
        cost = self._pace.cost_s(tenant) / self._shares.weight(tenant)
        turn = self._queue.put(tenant, _priority(generation), cost, (tenant, place))
        self._look()
        try:
            async with asyncio.timeout_at(until):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self._leave(tenant)  # it was given a place in the moment in which it left
            else:
                self._queue.discard(turn)
                self._look()
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
        self._standing.take(self._pace.wait_s(0, 1) or 0.0)
        self._leave(tenant)

    def move(self) -> None:
        """Let in who is next, as far as there are places."""
        if not self._queue:
            return
        while self._queue and self.under_way < self.adaptive.value:
            tenant, place = self._queue.pop()
            if not place.done():  # its caller has left, and has not been told yet
                self._take(tenant)
                place.set_result(None)
        self._look()

    def _take(self, tenant: str) -> None:
        self.under_way += 1
        self._shares.take(tenant)

    def _leave(self, tenant: str) -> None:
        self.under_way -= 1
        self._shares.give_back(tenant)
        self.move()

    def _look(self) -> None:
        """Take note of whether somebody waits."""
        now = asyncio.get_running_loop().time()
        self._standing.see(now, waited_in=bool(self._queue))

    def _all_taken(self) -> bool:
        """Tell whether whoever comes has to wait."""
        return self.under_way >= self.adaptive.value or bool(self._queue)

    def _let_in(self, applicant: Applicant, now: float) -> None:
        """Refuse at once who would wait in vain, or for too long.

        Raises:
            BackendOverloadedError: When somebody would.
        """
        if refusal := self._refusal(applicant, now):
            if not applicant.aside:
                self._standing.sent_away(now, _priority(applicant))
            raise self._counted(refusal)

    def _refusal(self, applicant: Applicant, now: float) -> BackendOverloadedError | None:
        """Give the error for who would wait in vain, or for too long; None: it is let in."""
        until = _until(applicant, now)
        ahead = self._queue.ahead(applicant.tenant, _priority(applicant))
        wait_s = self._turn_s(ahead)
        if wait_s is not None and until is not None and now + wait_s >= until:
            return self._refused(
                "deadline",
                f"{len(self._queue)} answers wait for the backend; this one's turn would come in"
                f" {wait_s:.2g} s, and its time is up in {until - now:.2g} s: allow more time, or",
            )
        if applicant.begun:
            return None
        if ahead >= self._spec.length or len(self._queue) >= MOST_LENGTHS * self._spec.length:
            return self._refused(
                "length",
                f"the backend has as much work as it can do, and {len(self._queue)} answers wait;",
            )
        # One of each tenant may wait for as long as a turn takes: where places are held for
        # minutes, whoever asks most often would else find each that becomes free.
        if wait_s is None:
            return None
        most_s = self._most_wait_s(applicant, now)
        if wait_s <= most_s or (most_s and not self._queue.waits(applicant.tenant)):
            return None
        return self._refused(
            "wait",
            "the backend has as much work as it can do, and this answer's turn would come in"
            f" {wait_s:.2g} s, more than the {most_s:.2g} s that are waited;",
        )

    def _turn_s(self, ahead: int) -> float | None:
        """Tell when a turn comes that has so many before it; None: not known yet.

        After the limit has come down nobody is let in until as many have ended.
        """
        limit = self.adaptive.value
        return self._pace.wait_s(ahead + max(self.under_way - limit, 0), limit)

    def _most_wait_s(self, applicant: Applicant, now: float) -> float:
        """Tell the longest wait that an answer is let in for.

        In a queue that stands nobody waits longer than a first token takes by itself, and nobody at
        all where others come so often that no place is free for long; but for who has less than a
        fair share.
        """
        tenant = applicant.tenant
        usual_s, limit = self.adaptive.first_s, self.adaptive.value
        gap_s = self._pace.wait_s(0, limit)
        if usual_s is None or gap_s is None or not self._standing.stands(now):
            return self._spec.wait_s
        if not self._shares.used_up(tenant, waiting=self._queue.waits(tenant), limit=limit):
            return self._spec.wait_s
        if self._standing.gap_s(_priority(applicant), now) <= _IDLE * gap_s * limit:
            return 0.0
        return min(max(usual_s, gap_s * _BRIEF_TURNS), self._spec.wait_s)

    def _refused(self, why: str, message: str) -> BackendOverloadedError:
        """Give the refusal; it says when those that wait now will have had their turn."""
        wait_s = self._turn_s(len(self._queue))
        retry_s = RETRY_AFTER_S if wait_s is None else wait_s
        retry_s = min(max(retry_s, _LEAST_RETRY_S), _MOST_RETRY_S)
        return BackendOverloadedError(
            f"{message} try again in {retry_s:.2g} s",
            metadata={"queue": why},
            retry_after_s=retry_s,
        )

    def _counted(self, refusal: BackendOverloadedError) -> BackendOverloadedError:
        if self._witness is not None:
            self._witness.queue_refused(self._spec.name, refusal.metadata["queue"])
        return refusal

    def _given_up(self, generation: Generation) -> BackendOverloadedError | DeadlineExceededError:
        """Give the error for having waited in vain."""
        now, deadline = asyncio.get_running_loop().time(), generation.deadline
        if deadline is not None and now >= deadline:
            return too_late()
        return self._counted(
            self._refused(
                "deadline", "the answer's turn did not come in the time in which it has to begin;"
            )
        )


def _priority(applicant: Applicant) -> int:
    return BEGUN if applicant.begun else applicant.priority


def _until(applicant: Applicant, now: float) -> float | None:
    """Tell until when an answer can wait for its turn; None: as long as it takes."""
    points = [applicant.deadline, applicant.begin_by]
    if applicant.first_token_timeout_s is not None:
        points.append(now + applicant.first_token_timeout_s)
    return min((point for point in points if point is not None), default=None)
