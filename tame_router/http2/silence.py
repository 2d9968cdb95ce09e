"""Asks a silent peer whether it is still there, and gives it up where it does not say so."""

import asyncio
from collections.abc import Callable
from typing import Final

PATIENCE_S: Final = 20.0
"""Time that a peer has to answer a ping, or to begin."""


class Silence:
    """Watches one connection.

    Args:
        keepalive_s: Silence after which the peer is asked.
        ask: Sends a ping.
        give_up: Closes the connection.
    """

    __slots__ = ("_ask", "_asked", "_give_up", "_heard_at", "_keepalive_s", "_loop", "_timer")

    def __init__(
        self, keepalive_s: float, ask: Callable[[], None], give_up: Callable[[], None]
    ) -> None:
        self._keepalive_s = keepalive_s
        self._ask = ask
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._asked = True  # it has to begin
        self._timer = self._loop.call_later(PATIENCE_S, self._look)

    def broken(self) -> None:
        """Take note that the peer was heard."""
        self._heard_at = self._loop.time()
        self._asked = False

    def close(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _look(self) -> None:
        if self._asked:
            self._give_up()
            return
        left_s = self._heard_at + self._keepalive_s - self._loop.time()
        if left_s <= 0:
            self._asked = True
            self._ask()
            left_s = PATIENCE_S
        self._timer = self._loop.call_later(left_s, self._look)
