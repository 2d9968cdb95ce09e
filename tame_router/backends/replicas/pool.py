"""Several vLLM servers behind one backend: who gets an answer, and what becomes of the others."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Final

from tame_router.backends.backend import RETRY_AFTER_S, Generation
from tame_router.backends.patience import too_late
from tame_router.backends.replicas.choice import Ask, choose
from tame_router.backends.replicas.failure import Failure
from tame_router.backends.replicas.hedge import HedgeOutcome, Hedging, hedgeable, roomy
from tame_router.backends.replicas.pool_spec import PoolSpec, Witness
from tame_router.backends.replicas.replica import Replica
from tame_router.backends.replicas.retry_budget import RetryBudget
from tame_router.backends.replicas.roster import ROUSE_S, Roster, either
from tame_router.backends.replicas.stream import ReplicaStream
from tame_router.backends.replicas.usual_times import UsualTimes
from tame_router.errors import BackendUnavailableError, TameError

_TWO: Final = 2


class ReplicaPool:
    """Answers by one of several vLLM servers that serve the same base model.

    Args:
        spec: Replicas and rules.
        witness: Is told of failures and states; None: nobody is.
        draw: Randomness of the choice.

    Attributes:
        budget: What second tries are paid from.
        most_failovers: Replicas that one answer may leave.
        resume_wait_s: As the spec says.
        spare: Gives how many answers more there is room for before callers have to wait.
    """

    def __init__(
        self, spec: PoolSpec, witness: Witness | None = None, draw: Random | None = None
    ) -> None:
        self._name = spec.name
        self._witness = witness
        self._draw = draw or Random()  # noqa: S311 - spreads load, keeps no secret
        self._roster = Roster(spec, witness)
        self.budget = RetryBudget(share=spec.retry_share, most=spec.retry_burst)
        self.most_failovers = spec.most_failovers
        self.resume_wait_s = spec.resume_wait_s
        self.spare: Callable[[], float] = lambda: math.inf
        self._usual = UsualTimes()
        self._hedging = None if spec.hedge is None else Hedging(spec.hedge)

    @property
    def replicas(self) -> Sequence[Replica]:
        """All of them, those that leave included, in the order in which they came."""
        return self._roster.replicas

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncIterator[ReplicaStream]:
        """Start a generation; leaving the context closes it on whichever replica writes it.

        Raises:
            BackendError: From entering or iterating: no replica can begin, or finish, it.
            InvalidRequestError: When the request is at fault.
        """
        stream = ReplicaStream(self, generation)
        try:
            await stream.start()
            yield stream
        finally:
            stream.close()

    async def context_tokens(self) -> int | None:
        """Tell the context length in tokens: the shortest of those that are known.

        Raises:
            BackendError: When no replica can be asked.
        """
        ready = self._roster.ready or await self._roster.rouse()
        if not ready:
            raise self._dead()
        lengths = (one.identity.context_tokens for one in ready if one.identity is not None)
        return min((length for length in lengths if length is not None), default=None)

    async def ready(self) -> bool:
        """Tell whether a replica would take a call now."""
        return bool(self._roster.ready or await self._roster.rouse())

    async def close(self) -> None:
        """Close all connections; generations must have ended."""
        await self._roster.close()

    async def watch(self) -> None:
        """Look after all replicas, and after who they are, until cancelled."""
        await self._roster.watch()

    async def look(self) -> None:
        """Look who the replicas are, and check them all, once."""
        await self._roster.look()

    def add(self, base_url: str) -> None:
        """Let a replica in; it gets answers once it is known to be well and the right one.

        Raises:
            ValueError: When there is one of that address.
        """
        self._roster.add(base_url)

    def remove(self, base_url: str) -> None:
        """Give a replica no new answers; it is forgotten when those under way have ended there.

        Raises:
            KeyError: When there is none of that address.
        """
        self._roster.remove(base_url)

    def desire(self, revisions: frozenset[str]) -> None:
        """Have every replica load these before it gets answers, and those that get some soon."""
        self._roster.desire(revisions)

    async def find(
        self,
        ask: Ask,
        tried: Mapping[Replica, Failure],
        error: TameError | None,
        until: float | None,
        deadline: float | None = None,
    ) -> Replica:
        """Choose a replica for an answer.

        Args:
            ask: The answer.
            tried: Those that failed it, and how; taken again only by an answer that has begun.
            error: Why the last one failed it; None: none has.
            until: Until when one is waited for, by an answer that has begun; None: not at all.
            deadline: The caller's; None: none.

        Raises:
            TameError: The error, or `BackendUnavailableError` with a reason for each replica.
            DeadlineExceededError: When the deadline passes first.
        """
        loop = asyncio.get_running_loop()
        while not (found := self._eligible(tried, again=until is not None)):
            news = self._roster.news
            known = self._roster.replicas
            if not known or until is not None or any(one not in tried for one in known):
                await self._roster.rouse(deadline)
                if self._eligible(tried, again=until is not None):
                    continue
            now = loop.time()
            if deadline is not None and now >= deadline:
                raise too_late()
            if until is None or now >= until:
                raise self._told(error) if error else self._dead()
            await either(news, min(until, now + ROUSE_S, deadline or until))
        return self._cheapest(found, ask, loop.time())

    def failed(self, replica: Replica, failure: Failure, error: TameError, revision: str) -> None:
        """Take note that a replica failed an answer."""
        replica.failed(failure, error, revision)
        self._roster.sort()

    def moved(self, failure: Failure, *, begun: bool) -> None:
        """Take note that an answer is asked of another replica; `begun`: in its middle."""
        if self._witness is not None:
            how = "continued" if begun else "retried"
            self._witness.failover(self._name, failure.kind, how)

    def heard(self, replica: Replica, ask: Ask, first_s: float, *, at_least: bool = False) -> None:
        """Take note how long a replica's first words took.

        Args:
            replica: The replica; it had the adapter.
            ask: The answer.
            first_s: Time from asking it.
            at_least: It was left by then, without a word.
        """
        late = self._usual.take(ask.chars, first_s)
        if late is not None:
            now = asyncio.get_running_loop().time()
            replica.standing.spoke(late, now, at_least=at_least)

    def hedge_after_s(self, generation: Generation, ask: Ask) -> float | None:
        """Tell how long one replica alone is waited for; None: as long as it takes."""
        hedging = self._hedging
        if hedging is None or len(self._roster.ready) < _TWO:
            return None
        if not hedgeable(generation, ask, hedging.rules):
            return None
        hedging.budget.earn()
        return hedging.after_s(self._usual.late_s(ask.chars, hedging.rules.quantile))

    def second(self, ask: Ask, first: Replica, tried: Mapping[Replica, Failure]) -> Replica | None:
        """Choose a second replica for an answer whose first word is late; `hedged` must follow.

        Args:
            ask: The answer.
            first: The one that is late.
            tried: Those that failed it.
        """
        hedging, now = self._hedging, asyncio.get_running_loop().time()
        if hedging is None:
            return None
        others = [
            one
            for one in self._roster.ready
            if one is not first and one not in tried and roomy(one.standing, ask, now)
        ]
        if not others or self.spare() <= hedging.under_way:
            self._told_hedge(HedgeOutcome.NO_ROOM)
            return None
        if not hedging.budget.spend():
            self._told_hedge(HedgeOutcome.UNPAID)
            return None
        hedging.under_way += 1
        having = [one for one in others if one.standing.resident(ask.revision)] or others
        return self._cheapest(having, ask, now)

    def hedged(self, outcome: HedgeOutcome) -> None:
        """Take note of what became of an answer for which a second was chosen."""
        if self._hedging is not None:
            self._hedging.under_way -= 1
        self._told_hedge(outcome)

    def _told_hedge(self, outcome: HedgeOutcome) -> None:
        if self._witness is not None:
            self._witness.hedge(self._name, outcome)

    def _cheapest(self, replicas: Sequence[Replica], ask: Ask, now: float) -> Replica:
        standings = [replica.standing for replica in replicas]
        return replicas[standings.index(choose(standings, ask, now=now, draw=self._draw))]

    def _eligible(self, tried: Mapping[Replica, Failure], *, again: bool) -> list[Replica]:
        if not tried:
            return self._roster.ready
        fresh = [replica for replica in self._roster.ready if replica not in tried]
        if fresh or not again:
            return fresh
        return [replica for replica in self._roster.ready if tried[replica].counts]

    def _told(self, error: TameError) -> TameError:
        error.metadata.update(self._roster.reasons())
        return error

    def _dead(self) -> TameError:
        reasons = self._roster.reasons()
        if not reasons:
            return BackendUnavailableError(
                "the backend has no replicas: what should name them names none; look at the"
                f" service's log, and try again in {RETRY_AFTER_S:g} s",
                retry_after_s=RETRY_AFTER_S,
            )
        listed = ", ".join(f"{name.replace('_', ' ')}: {why}" for name, why in reasons.items())
        return BackendUnavailableError(
            f"none of the backend's {len(reasons)} replicas can answer now ({listed}); check that"
            f" they run, and try again in {RETRY_AFTER_S:g} s",
            metadata=reasons,
            retry_after_s=RETRY_AFTER_S,
        )
