"""Ends the stream of a caller that stays and does not read.

While it takes nothing, nothing is read from the backend either: memory stays as it is. But its
answer holds a place there, which somebody else could use.
"""

import asyncio
import logging

from tame_router.answering.event import Event
from tame_router.answering.join import Emit
from tame_router.telemetry import log


class _Watch:
    """One timer for the whole stream: a timeout around each event would cost more than the event.

    Args:
        limit_s: Longest time for one event.
    """

    __slots__ = ("_limit_s", "_loop", "_task", "_timer", "clock", "since")

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self.clock = self._loop.time
        self.since: float | None = None
        self._timer = self._loop.call_later(limit_s, self._look)

    def close(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        left_s = self._limit_s if self.since is None else self.since + self._limit_s - now
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        elif self._task is not None:
            log.event(logging.INFO, "caller.not_reading", limit_s=self._limit_s)
            self._task.cancel()


class ended_when_unread:
    """Cancel the current task where an event is not taken in time, as if the caller had left.

    Args:
        emit: Sends an event, and waits until the caller has room for it.
        limit_s: Longest time that this may take.
    """

    __slots__ = ("_emit", "_limit_s", "_watch")

    def __init__(self, emit: Emit, limit_s: float) -> None:
        self._emit = emit
        self._limit_s = limit_s

    def __enter__(self) -> Emit:
        """Begin to watch, and give what sends an event under watch."""
        self._watch = watch = _Watch(self._limit_s)
        emit, clock = self._emit, watch.clock

        async def watched(event: Event) -> None:
            watch.since = clock()
            await emit(event)
            watch.since = None

        return watched

    def __exit__(self, *_: object) -> None:
        """Watch no longer."""
        self._watch.close()
