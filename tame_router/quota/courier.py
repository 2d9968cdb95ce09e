"""Carries questions and changes to Redis, in batches, and notices when it is gone or back."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress

from tame_router.quota.outbox import LEASE_MS, Outbox
from tame_router.quota.redis_link import Command, LinkDownError, RedisLink
from tame_router.telemetry import log

PROBE_S = 0.5
"""Time between two tries to reach Redis while it is gone."""

SETTLE_S = 3 * PROBE_S
"""Time that all routers have to tell a Redis that has lost its data what they have counted."""

TELL_S = 0.005
"""Longest time that a change waits for others to be told with."""

CLOSE_S = 1.0
"""Longest time that closing waits for the last changes to be told."""

Answer = list[int] | None
"""What a script gave; None: Redis is gone."""

Asked = list[tuple[Command, "asyncio.Future[Answer]"]]


class Courier:
    """Talks to Redis in one task of its own. Use it on one event loop, and close it.

    Args:
        link: The connection.
        counts: Gives all that this router has counted: tenant, limit, step, amount.
        now: Gives seconds since 1970.
        watch: Is told when Redis goes (True) and when it is back (False).
    """

    def __init__(
        self,
        link: RedisLink,
        counts: Callable[[], Iterable[tuple[str, str, int, int]]],
        now: Callable[[], float],
        watch: Callable[[bool], None] | None = None,
    ) -> None:
        self._link = link
        self._counts = counts
        self._now = now
        self._watch = watch
        self._mark = ""
        self._outbox = Outbox()
        self._asked: Asked = []
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._renewal: asyncio.TimerHandle | None = None
        self._telling: asyncio.TimerHandle | None = None
        self.leases: dict[str, str] = {}
        self.degraded = False

    @property
    def outbox(self) -> Outbox:
        """What is told with the next question, or within `TELL_S`."""
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(TELL_S, self.wake)
        return self._outbox

    def ask(self, command: Command) -> "asyncio.Future[Answer]":
        """Run a script with the next batch; at once None while Redis is gone."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self.degraded:
            future.set_result(None)
        else:
            self._asked.append((command, future))
        self.wake()
        return future

    def wake(self) -> None:
        """See to it that what waits is told."""
        self._wake.set()
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        if self._task is None:
            loop = asyncio.get_running_loop()
            # Owned: `close` waits for it, and no failure leaves it.
            self._task = loop.create_task(self._run(), name="quota")
            if self._renewal is None:
                self._renewal = loop.call_later(LEASE_MS / 3e3, self._renew)

    async def close(self) -> None:
        """Tell what waits, if Redis takes it in a second, and close the connection."""
        self._closing.set()
        if self._task is not None:
            self._wake.set()
            await asyncio.wait({self._task}, timeout=CLOSE_S)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for timer in (self._renewal, self._telling):
            if timer is not None:
                timer.cancel()
        await self._link.close()

    async def _run(self) -> None:
        try:
            await self._meet()
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._deliver()
                if self._closing.is_set():
                    return
        except Exception:
            log.LOGGER.exception("quota.crashed")
        finally:
            self.degraded = True
            self._task = self._task if self._closing.is_set() else None
            _answer_none(self._asked)

    async def _meet(self) -> None:
        """Say hello: what Redis bears tells later whether it is the same, with the same data."""
        try:
            await self._catch_up()
            self.degraded = False
        except LinkDownError as error:
            await self._endure(error)

    async def _deliver(self) -> None:
        asked, self._asked = self._asked, []
        told = self._outbox.take()
        commands = [*told.commands(), *(command for command, _ in asked)]
        if not commands:
            return
        try:
            answers = await self._link.run(commands, self._mark)
        except LinkDownError as error:
            self._outbox.put_back(told)
            self._asked = [*asked, *self._asked]
            await self._endure(error)
            return
        except BaseException:
            self._outbox.put_back(told)
            _answer_none(asked)
            raise
        for (_, future), answer in zip(asked, answers[len(commands) - len(asked) :], strict=True):
            future.set_result(answer)

    async def _endure(self, error: LinkDownError) -> None:
        """Do without Redis until it is back, or until this is closed."""
        self._tell(logging.WARNING, "quota.degraded", gone=True, because=str(error))
        _answer_none(self._asked)
        pause_s = PROBE_S
        while not self._closing.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause_s)
            self._outbox.prune(self._now())
            pause_s = PROBE_S
            with suppress(LinkDownError):
                if not await self._catch_up():
                    self._tell(logging.INFO, "quota.recovered", gone=False)
                    return
                # What the other routers have counted is not all there yet.
                pause_s = SETTLE_S

    async def _catch_up(self) -> bool:
        """Tell Redis what it has missed: everything, where it has lost what it had.

        Returns:
            Whether it had lost it.

        Raises:
            LinkDownError: When it is gone, still or again.
        """
        fresh = uuid.uuid4().hex
        found = await self._link.mark(fresh) or fresh
        told = self._outbox.take()
        lost = found != self._mark
        if lost:
            told.replace(self._counts())
            self._mark = found
        for lease, tenant in self.leases.items():
            told.lease(lease, tenant, held=True)
        try:
            await self._link.run(told.commands(), self._mark)
        except LinkDownError:
            self._outbox.put_back(told)
            raise
        return lost

    def _renew(self) -> None:
        for lease, tenant in self.leases.items():
            self._outbox.lease(lease, tenant, held=True)
        self._renewal = asyncio.get_running_loop().call_later(LEASE_MS / 3e3, self._renew)
        if self.leases and not self._closing.is_set():
            self.wake()

    def _tell(self, level: int, name: str, *, gone: bool, **facts: str) -> None:
        self.degraded = gone
        log.event(level, name, **facts)
        if self._watch is not None:
            self._watch(gone)


def _answer_none(asked: Asked) -> None:
    """Tell everyone who asks that Redis is gone."""
    for _, future in asked:
        if not future.done():
            future.set_result(None)
    asked.clear()
