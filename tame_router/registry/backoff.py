"""How long is waited after failures in a row: twice as long each time, up to a limit, and drawn."""

import random
from collections.abc import Callable
from typing import Final

MOST_S: Final = 10.0
"""Longest wait for a database that is away: so long after it came back, at most, all goes on."""


class Backoff:
    """Waits of one who asks again and again. Drawn, so that many do not ask at one moment.

    Args:
        first_s: Wait after the first failure, seconds > 0.
        most_s: The longest wait, seconds; never less than the first.
        draw: Gives a number in [0, 1), each as likely as any other.

    Attributes:
        failures: Failures in a row until now.
    """

    def __init__(
        self,
        first_s: float,
        most_s: float = MOST_S,
        draw: Callable[[], float] = random.random,  # noqa: S311 - it is no secret
    ) -> None:
        self._first_s = first_s
        self._most_s = max(first_s, most_s)
        self._draw = draw
        self._wait_s = first_s
        self.failures = 0

    def failed(self) -> float:
        """Take note of a failure, and give the wait after it, seconds: its half, or more of it."""
        self.failures += 1
        wait_s = self._wait_s
        self._wait_s = min(2 * wait_s, self._most_s)
        return wait_s * (1 + self._draw()) / 2

    def worked(self) -> None:
        """Take note that it works: the next failure is a first one."""
        self.failures = 0
        self._wait_s = self._first_s
