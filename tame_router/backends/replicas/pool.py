"""Several vLLM servers behind one backend: who gets an answer, and what becomes of the others."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Final

from tame_router.backends.backend import RETRY_AFTER_S, Generation
from tame_router.backends.patience import too_late
from tame_router.backends.replicas.choice import Ask, choose
from tame_router.backends.replicas.failure import Failure
from tame_router.backends.replicas.pool_spec import PoolSpec, Witness
from tame_router.backends.replicas.replica import Replica
from tame_router.backends.replicas.retry_budget import RetryBudget
from tame_router.backends.replicas.state import ReplicaState
from tame_router.backends.replicas.stream import ReplicaStream
from tame_router.errors import BackendUnavailableError, TameError
from tame_router.telemetry import log

ROUSE_S: Final = 0.25
"""Least time between two checks of a replica that is looked for because none is left."""

ROUSE_MOST_S: Final = 3.0
"""Longest time that such a check may take."""

_SHORTEST_S: Final = 0.05


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
    """

    def __init__(
        self, spec: PoolSpec, witness: Witness | None = None, draw: Random | None = None
    ) -> None:
        self._spec = spec
        self._witness = witness
        self._draw = draw or Random()  # noqa: S311 - spreads load, keeps no secret
        self._replicas = [
            Replica(one, spec.rules, spec.probe_timeout_s, spec.prepare_timeout_s)
            for one in spec.replicas
        ]
        self._by_standing = {replica.standing: replica for replica in self._replicas}
        self._known = [(replica.state, replica.why) for replica in self._replicas]
        self._ready: list[Replica] = []
        self._news = asyncio.Event()
        self.budget = RetryBudget(share=spec.retry_share, most=spec.retry_burst)
        self.most_failovers = spec.most_failovers
        self.resume_wait_s = spec.resume_wait_s

    @property
    def replicas(self) -> Sequence[Replica]:
        """All of them, in the order of the settings."""
        return tuple(self._replicas)

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
        ready = self._ready or await self._roused()
        if not ready:
            raise self._dead()
        lengths = [await replica.backend.context_tokens() for replica in ready]
        return min((length for length in lengths if length is not None), default=None)

    async def ready(self) -> bool:
        """Tell whether a replica would take a call now."""
        return bool(self._ready or await self._roused())

    async def close(self) -> None:
        """Close all connections; generations must have ended."""
        for replica in self._replicas:
            await replica.backend.close()

    async def watch(self) -> None:
        """Check all replicas in turn, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for replica in self._replicas:
                group.create_task(self._watch(replica))

    async def look(self) -> None:
        """Check all replicas, once."""
        await self._check(self._replicas)

    def drain(self, base_url: str) -> None:
        """Give a replica no new answers, for good; those under way are finished there.

        Raises:
            KeyError: When there is none of that address.
        """
        by_name = {replica.standing.name: replica for replica in self._replicas}
        by_name[base_url].drain()
        self._sort()

    def desire(self, revisions: frozenset[str]) -> None:
        """Have every replica load these before it gets answers, and those that get some soon."""
        for replica in self._replicas:
            replica.adapters.wanted = revisions

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
            news = self._news
            if any(replica not in tried for replica in self._replicas) or until is not None:
                await self._roused(deadline)
                if self._eligible(tried, again=until is not None):
                    continue
            now = loop.time()
            if deadline is not None and now >= deadline:
                raise too_late()
            if until is None or now >= until:
                raise self._told(error) if error else self._dead()
            await _either(news, min(until, now + ROUSE_S, deadline or until))
        standings = [replica.standing for replica in found]
        return self._by_standing[choose(standings, ask, now=loop.time(), draw=self._draw)]

    def failed(self, replica: Replica, failure: Failure, error: TameError, revision: str) -> None:
        """Take note that a replica failed an answer."""
        replica.failed(failure, error, revision)
        self._sort()

    def moved(self, failure: Failure, *, begun: bool) -> None:
        """Take note that an answer is asked of another replica; `begun`: in its middle."""
        if self._witness is not None:
            how = "continued" if begun else "retried"
            self._witness.failover(self._spec.name, failure.kind, how)

    def _eligible(self, tried: Mapping[Replica, Failure], *, again: bool) -> list[Replica]:
        if not tried:
            return self._ready
        fresh = [replica for replica in self._ready if replica not in tried]
        if fresh or not again:
            return fresh
        return [replica for replica in self._ready if tried[replica].counts]

    async def _watch(self, replica: Replica) -> None:
        while replica.state is not ReplicaState.DRAINING:
            await self._check([replica])
            now = asyncio.get_running_loop().time()
            wait_s = self._spec.health_interval_s
            if replica.state is ReplicaState.EJECTED:
                wait_s = min(wait_s, replica.probe_at - now)
            await asyncio.sleep(max(wait_s, _SHORTEST_S))

    async def _roused(self, deadline: float | None = None) -> Sequence[Replica]:
        """Check those that are not ready, as none is left; give those that are then."""
        now = asyncio.get_running_loop().time()
        out = (ReplicaState.STARTING, ReplicaState.EJECTED)
        asleep = [
            replica
            for replica in self._replicas
            if replica.state in out and now - replica.checked_at >= ROUSE_S
        ]
        for replica in asleep:
            replica.hurry()
        until = now + ROUSE_MOST_S
        # One that stands still is no reason to keep the caller waiting for it.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until if deadline is None else min(until, deadline)):
                await self._check(asleep)
        return self._ready

    async def _check(self, replicas: Iterable[Replica]) -> None:
        async def one(replica: Replica) -> None:
            await replica.check()
            self._sort()

        async with asyncio.TaskGroup() as group:
            for replica in replicas:
                group.create_task(one(replica))

    def _sort(self) -> None:
        """Keep the list of those that are ready, and tell of what has changed."""
        known = [(replica.state, replica.why) for replica in self._replicas]
        if known == self._known:
            return
        states = [state for state, _ in known]
        self._ready = [one for one in self._replicas if one.state is ReplicaState.READY]
        for number, replica in enumerate(self._replicas):
            if known[number] != self._known[number]:
                self._tell(replica)
        self._known = known
        if self._witness is not None:
            self._witness.replicas(
                self._spec.name, {state: states.count(state) for state in ReplicaState}
            )
        self._news.set()
        self._news = asyncio.Event()

    def _tell(self, replica: Replica) -> None:
        log.event(
            logging.INFO if replica.state is ReplicaState.READY else logging.WARNING,
            "replica.state",
            backend=self._spec.name,
            replica=replica.standing.name,
            state=str(replica.state),
            why=replica.why,
            because=replica.detail,
        )

    def _reasons(self) -> dict[str, str]:
        """Say of each replica how it is; by number, as addresses are nothing for callers."""
        return {
            f"replica_{number}": replica.why or str(replica.state)
            for number, replica in enumerate(self._replicas, 1)
        }

    def _told(self, error: TameError) -> TameError:
        error.metadata.update(self._reasons())
        return error

    def _dead(self) -> TameError:
        reasons = self._reasons()
        listed = ", ".join(f"{name.replace('_', ' ')}: {why}" for name, why in reasons.items())
        return BackendUnavailableError(
            f"none of the backend's {len(reasons)} replicas can answer now ({listed}); check that"
            f" they run, and try again in {RETRY_AFTER_S:g} s",
            metadata=reasons,
            retry_after_s=RETRY_AFTER_S,
        )


async def _either(news: asyncio.Event, until: float) -> None:
    """Wait for news, or for a point in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(until):
            await news.wait()
