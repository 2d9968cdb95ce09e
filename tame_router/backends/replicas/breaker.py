"""The circuit breaker of one replica: when it is left alone, and when it is tried again.

Pure: the clock comes in as an argument. Times are points and lengths in seconds.
"""

import enum
from dataclasses import dataclass


class BreakerState(enum.StrEnum):
    """Whether answers pass."""

    CLOSED = "closed"
    """They do."""
    OPEN = "open"
    """They do not, and nothing is tried until the cool-down is over."""
    HALF_OPEN = "half_open"
    """One probe is under way; nothing else passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """When a breaker opens, and for how long.

    Attributes:
        failures: Failures in a row that open it, ≥ 1.
        cool_down_s: Time until the first probe, > 0; doubled each time a probe fails.
        max_cool_down_s: Longest such time.
    """

    failures: int = 3
    cool_down_s: float = 1.0
    max_cool_down_s: float = 30.0


class Breaker:
    """Counts failures in a row, opens, and lets one probe decide whether it closes again.

    Args:
        rules: When it opens, and for how long.

    Attributes:
        state: Whether answers pass.
        probe_at: When a probe may be sent; of use while it is open.
    """

    __slots__ = ("_cool_down_s", "_failures", "_rules", "probe_at", "state")

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._failures = 0
        self._cool_down_s = rules.cool_down_s
        self.state = BreakerState.CLOSED
        self.probe_at = 0.0

    def succeeded(self) -> None:
        """Take note of an answer that was finished; one of before it opened changes nothing."""
        if self.state is BreakerState.CLOSED:
            self._failures = 0

    def failed(self, now: float, *, decisive: bool) -> bool:
        """Take note of an answer that failed; tell whether the breaker is open thereafter.

        Args:
            now: The time.
            decisive: One such failure is enough: nothing listens there.
        """
        if self.state is BreakerState.CLOSED:
            self._failures += 1
            if decisive or self._failures >= self._rules.failures:
                self._open(now)
        return self.state is not BreakerState.CLOSED

    def trip(self, now: float) -> None:
        """Open, whatever was counted: a check of the replica itself failed."""
        if self.state is BreakerState.CLOSED:
            self._open(now)

    def may_probe(self, now: float) -> bool:
        """Let a probe through where it is time for one; `probed` must follow."""
        if self.state is BreakerState.OPEN and now >= self.probe_at:
            self.state = BreakerState.HALF_OPEN
            return True
        return False

    def hurry(self, now: float) -> None:
        """Let the next probe come at once: nobody else is left."""
        self.probe_at = min(self.probe_at, now)

    def probed(self, now: float, *, passed: bool) -> None:
        """Take note of how the probe went: close, or cool down for twice as long."""
        if self.state is not BreakerState.HALF_OPEN:
            return
        if passed:
            self.state = BreakerState.CLOSED
            self._failures = 0
            self._cool_down_s = self._rules.cool_down_s
            return
        self._cool_down_s = min(2 * self._cool_down_s, self._rules.max_cool_down_s)
        self._open(now)

    def _open(self, now: float) -> None:
        self.state = BreakerState.OPEN
        self.probe_at = now + self._cool_down_s
