"""Tells a time limit that the other side has missed from one that passed while nobody looked.

A process that stands still, in a machine that is paused or overloaded, runs all its timers when it
goes on, before it has read what came meanwhile. Such a timer rings late, and is known by that: it
says nothing about the other side.

A timer alone is looked at: one that rings in time had a loop that ran, whatever was before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, TypeVar

LATE_S: Final = 0.5
"""A timer that rings so late rings after a standstill; a busy loop's are late by milliseconds."""

GRACE_S: Final = 1.0
"""Time after a standstill in which is read, and understood, what has arrived."""

_Answer = TypeVar("_Answer")


def stood_still(until: float, now: float) -> bool:
    """Tell whether a timer rang after a standstill.

    Args:
        until: When it should have, on the event loop's clock.
        now: When it did.
    """
    return now - until >= LATE_S


class TimeLimit:
    """A context as `asyncio.timeout_at`, but that it looks first at what has arrived meanwhile.

    Args:
        until: When it is over, on the event loop's clock.
    """

    __slots__ = ("_loop", "_timeout", "_timer", "_until")

    def __init__(self, until: float) -> None:
        self._until = until
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> "TimeLimit":
        """Begin."""
        await self._timeout.__aenter__()
        if self._until <= self._loop.time():
            self._timeout.reschedule(self._until)
        else:
            self._watch()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End.

        Raises:
            TimeoutError: When the time was over.
        """
        if self._timer is not None:
            self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def _watch(self) -> None:
        self._timer = self._loop.call_at(self._until, self._ring)

    def _ring(self) -> None:
        now = self._loop.time()
        if stood_still(self._until, now):
            self._until = now + GRACE_S
            self._watch()
        else:
            self._timeout.reschedule(now)


async def answered(ask: Callable[[], Awaitable[_Answer]], timeout_s: float) -> _Answer:
    """Ask, and ask again where the time was over because this process stood still.

    What is asked must change nothing. A question that was under way in the standstill may have
    lost its connection: a new one gets a new connection.

    Args:
        ask: Asks.
        timeout_s: How long an answer is waited for.

    Raises:
        TimeoutError: When it does not come though this process ran.
    """
    loop = asyncio.get_running_loop()
    while True:
        until = loop.time() + timeout_s
        try:
            async with asyncio.timeout_at(until):
                return await ask()
        except TimeoutError:
            if not stood_still(until, loop.time()):
                raise
