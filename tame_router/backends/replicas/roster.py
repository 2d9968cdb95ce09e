"""The replicas of a pool: who there is, who gets answers, who comes and who goes."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from tame_router.backends.replicas.identity import check_identity
from tame_router.backends.replicas.membership import Membership
from tame_router.backends.replicas.pool_spec import PoolSpec, Witness
from tame_router.backends.replicas.replica import Replica
from tame_router.backends.replicas.state import ReplicaState
from tame_router.backends.standstill import TimeLimit
from tame_router.telemetry import log

ROUSE_S: Final = 0.25
"""Least time between two checks of a replica that is looked for because none is left."""

ROUSE_MOST_S: Final = 3.0
"""Longest time that such a check may take."""

TOGETHER_S: Final = 1.0
"""How long a replica that starts waits for others that start with it to say what they are."""

_SHORTEST_S: Final = 0.05
_EXPIRY: Final = 3  # intervals that figures are believed


class Roster:
    """Lets replicas in, looks after them, and lets them go.

    Args:
        spec: Replicas and rules.
        witness: Is told how many are in each state, and why some are out; None: nobody is.

    Attributes:
        ready: Those that get answers.
        news: Set, and replaced, when a state changes.
    """

    def __init__(self, spec: PoolSpec, witness: Witness | None = None) -> None:
        self._spec = spec
        self._witness = witness
        self._server = spec.server or spec.replicas[0]
        self._replicas: list[Replica] = []
        self._known: dict[Replica, tuple[ReplicaState, str]] = {}
        self._reasons_told = {"not_checked"}
        self._wanted: frozenset[str] = frozenset()
        self._group: asyncio.TaskGroup | None = None
        self._membership = (
            Membership(spec.source, self, spec.name, spec.refresh_interval_s)
            if spec.source is not None
            else None
        )
        self.ready: list[Replica] = []
        self.news = asyncio.Event()
        for one in spec.replicas:
            self._add(one.base_url)

    @property
    def replicas(self) -> Sequence[Replica]:
        """All of them, those that leave included, in the order in which they came."""
        return tuple(self._replicas)

    @property
    def addresses(self) -> Sequence[str]:
        """The addresses of those that do not leave."""
        return tuple(
            one.standing.name for one in self._replicas if not one.departure.asked.is_set()
        )

    def add(self, base_url: str) -> None:
        """Let a replica in; it gets answers once it is known to be well and the right one.

        Raises:
            ValueError: When there is one of that address.
        """
        if base_url in self.addresses:
            raise ValueError(f"there is a replica at {base_url!r}; expected a new address")
        replica = self._add(base_url)
        log.event(logging.INFO, "replica.joined", backend=self._spec.name, replica=base_url)
        if self._group is not None:
            self._group.create_task(self._look_after(replica))
        self.sort()

    def remove(self, base_url: str) -> None:
        """Give a replica no new answers; it is forgotten when those under way have ended.

        Raises:
            KeyError: When there is none of that address.
        """
        {one.standing.name: one for one in self._staying()}[base_url].drain()
        self.sort()

    def desire(self, revisions: frozenset[str]) -> None:
        """Have every replica, new ones too, load these before it gets answers."""
        self._wanted = revisions
        for replica in self._replicas:
            replica.adapters.wanted = revisions

    async def watch(self) -> None:
        """Look after all replicas, and after who they are, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for replica in self._replicas:
                    group.create_task(self._look_after(replica))
                if self._membership is None:
                    await asyncio.Event().wait()
                else:
                    await self._membership.follow()
            finally:
                self._group = None

    async def look(self) -> None:
        """Look at the source and check all replicas, once; close those that have left."""
        if self._membership is not None:
            await self._membership.look()
        await self._check(self._replicas)
        for replica in self.replicas:
            if replica.departure.done.is_set():
                await self._forget(replica)

    async def rouse(self, deadline: float | None = None) -> Sequence[Replica]:
        """Check those that are not ready, as none is left; give those that are then."""
        now = asyncio.get_running_loop().time()
        until = now + ROUSE_MOST_S
        # One that stands still is no reason to keep the caller waiting for it.
        with contextlib.suppress(TimeoutError):
            async with TimeLimit(until if deadline is None else min(until, deadline)):
                if self._membership is not None and not self.addresses:
                    await self._membership.look(ROUSE_S)
                await self._check(self._asleep(now))
        return self.ready

    async def close(self) -> None:
        """Close all connections; generations must have ended."""
        for replica in self._replicas:
            await replica.backend.close()

    def sort(self) -> None:
        """Keep the list of those that are ready, and tell of what has changed."""
        known = {replica: (replica.state, replica.why) for replica in self._replicas}
        if known == self._known:
            return
        self.ready = [one for one in self._replicas if one.state is ReplicaState.READY]
        for replica, how in known.items():
            if how != self._known.get(replica, (ReplicaState.STARTING, "not_checked")):
                self._tell(replica)
        self._known = known
        self._report()
        self.news.set()
        self.news = asyncio.Event()

    def reasons(self) -> dict[str, str]:
        """Say of each replica how it is; by number, as addresses are nothing for callers."""
        return {
            f"replica_{number}": replica.why or str(replica.state)
            for number, replica in enumerate(self._replicas, 1)
        }

    def _staying(self) -> list[Replica]:
        return [one for one in self._replicas if not one.departure.asked.is_set()]

    def _add(self, base_url: str) -> Replica:
        spec = self._spec
        replica = Replica(
            replace(self._server, base_url=base_url),
            spec.rules,
            spec.probe_timeout_s,
            spec.prepare_timeout_s,
            self._admit,
        )
        replica.adapters.wanted = self._wanted
        self._replicas.append(replica)
        return replica

    def _asleep(self, now: float) -> Iterable[Replica]:
        out = (ReplicaState.STARTING, ReplicaState.EJECTED)
        for replica in self._replicas:
            if replica.state in out and now - replica.checked_at >= ROUSE_S:
                replica.hurry()
                yield replica

    async def _admit(self, replica: Replica) -> None:
        """Hold a replica that has said what it is against the others."""
        others = [one for one in self._replicas if one is not replica]
        # As they are before it waits: those that start with it may be through by the end of it.
        ready = [one.identity for one in others if one.state is ReplicaState.READY]
        starting = [one for one in others if one.state is ReplicaState.STARTING]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TOGETHER_S):
                for one in starting:
                    if one.in_check:
                        await one.looked.wait()
        if replica.identity is not None:
            check_identity(
                replica.identity,
                [one for one in ready if one is not None],
                [one.identity for one in starting if one.identity],
            )

    async def _look_after(self, replica: Replica) -> None:
        """Check a replica and read its figures until it leaves; then wait, close and forget."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._check_often(replica))
            if self._spec.metrics_interval_s:
                group.create_task(self._scrape_often(replica, self._spec.metrics_interval_s))
        await replica.departure.done.wait()
        await self._forget(replica)

    async def _check_often(self, replica: Replica) -> None:
        asked = replica.departure.asked
        while not asked.is_set():
            await self._check([replica])
            now = asyncio.get_running_loop().time()
            wait_s = self._spec.health_interval_s
            if replica.state is ReplicaState.EJECTED:
                wait_s = min(wait_s, replica.probe_at - now)
            await either(asked, now + max(wait_s, _SHORTEST_S))

    async def _scrape_often(self, replica: Replica, interval_s: float) -> None:
        asked = replica.departure.asked
        while not asked.is_set():
            if replica.state is not ReplicaState.READY:
                await self.news.wait()
                continue
            await replica.scrape(_EXPIRY * interval_s)
            self.sort()
            await either(asked, asyncio.get_running_loop().time() + interval_s)

    async def _forget(self, replica: Replica) -> None:
        await replica.close()
        if replica in self._replicas:
            self._replicas.remove(replica)
            name = replica.standing.name
            log.event(logging.INFO, "replica.left", backend=self._spec.name, replica=name)
            self.sort()

    async def _check(self, replicas: Iterable[Replica]) -> None:
        async def one(replica: Replica) -> None:
            await replica.check()
            self.sort()

        async with asyncio.TaskGroup() as group:
            for replica in list(replicas):
                group.create_task(one(replica))

    def _report(self) -> None:
        """Tell how many are in each state, and how many are out for each reason there was."""
        if self._witness is None:
            return
        states = [state for state, _ in self._known.values()]
        whys = [why for _, why in self._known.values() if why]
        self._reasons_told.update(whys)
        counts: dict[str, int] = {state: states.count(state) for state in ReplicaState}
        self._witness.replicas(self._spec.name, counts)
        out = {why: whys.count(why) for why in self._reasons_told}
        self._witness.replicas_out(self._spec.name, out)

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


async def either(news: asyncio.Event, until: float) -> None:
    """Wait for news, or for a point in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(until):
            await news.wait()
