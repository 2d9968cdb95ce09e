"""The messages of one connection's requests that are on their way: for how long, and how much.

A message that has begun is held until it is whole, and a call that has not brought its first one
is held for it. What a caller does not send takes up no time of ours, but place: so it has an end.
"""

import asyncio
from typing import Final, Protocol

import grpc

from tame_router.http2.message import MessageFault

_TICK_S: Final = 0.001


class Expecting(Protocol):
    """Who waits for a message, or for the rest of one."""

    def give_up(self) -> None:
        """End the call: it did not come in time."""

    def refuse(self) -> None:
        """End the call if nothing of it is served yet: the service is stopping."""


class Arrivals:
    """Watches the requests of one connection, with one timer for all of them.

    Args:
        timeout_s: Longest time that a message may take.
        most_bytes: Bytes of messages that have begun and are not whole, of all calls together.
    """

    __slots__ = ("_begun_bytes", "_expected", "_loop", "_most_bytes", "_timeout_s", "_timer")

    def __init__(self, timeout_s: float, most_bytes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._most_bytes = most_bytes
        self._begun_bytes = 0
        self._expected: dict[Expecting, float] = {}  # since when, those that wait longest first
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, one: Expecting) -> None:
        """Have a message come in time from now on, or from when it was first expected."""
        if one not in self._expected:
            self._expected[one] = self._loop.time()
            if self._timer is None:
                self._timer = self._loop.call_later(self._timeout_s, self._look)

    def arrived(self, one: Expecting) -> None:
        """Take note that it is here, or that it need not come any more."""
        self._expected.pop(one, None)

    def hold(self, change: int) -> None:
        """Count bytes of messages that are not whole.

        Args:
            change: Bytes that came; below 0: that are not held any more.

        Raises:
            MessageFault: When it is too much.
        """
        self._begun_bytes += change
        if change > 0 and self._begun_bytes > self._most_bytes:
            raise MessageFault(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"the calls of this connection have begun messages of {self._begun_bytes} bytes;"
                f" expected at most {self._most_bytes}: finish some before others are begun",
            )

    def refuse(self) -> None:
        """Refuse the calls of which nothing is served yet."""
        for one in list(self._expected):
            one.refuse()

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Give up what is late, and look again when there may be more."""
        self._timer = None
        latest = self._loop.time() - self._timeout_s + _TICK_S  # a timer may ring a tick early
        late = [one for one, since in self._expected.items() if since <= latest]
        for one in late:
            self._expected.pop(one, None)
            one.give_up()
        if self._expected:
            oldest = min(self._expected.values())
            self._timer = self._loop.call_at(oldest + self._timeout_s, self._look)
