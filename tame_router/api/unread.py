"""Ends the stream of a caller that stays and does not read.

While it takes nothing, nothing is read from the backend either: memory stays as it is. But its
answer holds a place there, which somebody else could use.
"""

import asyncio
import logging
from collections.abc import Awaitable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from tame_router.answering.event import Event
from tame_router.answering.join import Emit
from tame_router.backends.backend import TAKEN
from tame_router.telemetry import log


class _Watch:
    """One timer for the whole stream: a timeout around each event would cost more than the event.

    Args:
        limit_s: Longest time for one event.
    """

    __slots__ = ("_limit_s", "_loop", "_since", "_task", "_timer")

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task(self._loop)
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Take note that an event waits; the first one that does begins the timer."""
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._limit_s, self._look)

    def end(self) -> None:
        """Take note that it was taken."""
        self._since = None

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        left_s = self._limit_s if self._since is None else self._since + self._limit_s - now
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        elif self._task is not None:
            log.event(logging.INFO, "caller.not_reading", limit_s=self._limit_s)
            self._task.cancel()


class _Watched:
    """An event that has to be waited for, watched over; no coroutine, for it may be left alone.

    Args:
        event: Waits until the caller has room for it.
        watch: The stream's.
    """

    __slots__ = ("_event", "_watch")

    def __init__(self, event: Awaitable[None], watch: _Watch) -> None:
        self._event = event
        self._watch = watch

    def __await__(self) -> Generator[Any, None, None]:
        self._watch.begin()
        yield from self._event.__await__()
        self._watch.end()


@contextmanager
def ended_when_unread(emit: Emit, limit_s: float) -> Iterator[Emit]:
    """Cancel the current task where an event is not taken in time, as if the caller had left.

    Args:
        emit: Sends an event, and waits until the caller has room for it.
        limit_s: Longest time that this may take.
    """
    watch = _Watch(limit_s)

    def watched(event: Event) -> Awaitable[None]:
        taken = emit(event)
        return taken if taken is TAKEN else _Watched(taken, watch)

    try:
        yield watched
    finally:
        watch.close()
