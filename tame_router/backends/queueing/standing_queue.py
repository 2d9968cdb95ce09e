"""Tells a burst, which passes by itself, from a queue that stands. Pure.

A queue is there to hold what comes at once for a moment. Where there is lasting more work than
capacity it is always full: it makes everybody wait, and not one answer more is written.

Source: Nichols, Jacobson, "Controlling Queue Delay", ACM Queue 2012; Maurer, "Fail at Scale",
ACM Queue 2015, whose queues too are shortened when they have not been empty for a while.
"""

from typing import Final

_MEMORY: Final = 1 / 32


class StandingQueue:
    """Watches whether somebody waits, or has to be sent away.

    Args:
        long_s: A queue stands that has not been empty for so long; > 0.
    """

    __slots__ = ("_away", "_long_s", "_quiet_s", "_since", "_stands", "_waited_in")

    def __init__(self, long_s: float) -> None:
        self._long_s = self._quiet_s = long_s
        self._since = float("-inf")
        self._waited_in = False
        self._stands = False
        self._away: dict[int, tuple[float, float]] = {}

    def see(self, now: float, *, waited_in: bool) -> None:
        """Take note of whether somebody waits, whenever that may have changed.

        Args:
            now: When; never before an earlier call.
            waited_in: Whether somebody does.
        """
        if waited_in is not self._waited_in:
            self.stands(now)
            self._since, self._waited_in = now, waited_in

    def take(self, answer_s: float) -> None:
        """Take note of how long answers take: for as long the load comes in waves.

        It stands until nobody has waited, or been sent away, for that time.
        """
        self._quiet_s = max(self._long_s, answer_s)

    def sent_away(self, now: float, priority: int) -> None:
        """Take note that somebody was sent away, who might have waited.

        Args:
            now: When; never before an earlier call.
            priority: Of whom.
        """
        if self.stands(now) and not self._waited_in:
            self._since = now
        at, gap_s = self._away.get(priority, (float("-inf"), self._quiet_s))
        self._away[priority] = now, self._moved(gap_s, now - at)

    def stands(self, now: float) -> bool:
        """Tell whether the queue stands.

        Args:
            now: When; never before an earlier call.
        """
        if now - self._since >= (self._long_s if self._waited_in else self._quiet_s):
            self._stands = self._waited_in
        return self._stands

    def gap_s(self, priority: int, now: float) -> float:
        """Tell the mean time between two who are sent away, in seconds.

        Of use while the queue stands: afterwards nobody is. It grows while nobody is sent away:
        those of one priority may come no more while others still do.

        Args:
            priority: Of whom it is asked; those below it do not count.
            now: When; never before an earlier call.
        """
        gaps = (
            max(gap_s, self._moved(gap_s, now - at))
            for level, (at, gap_s) in self._away.items()
            if level >= priority
        )
        return min(gaps, default=self._quiet_s)

    def _moved(self, gap_s: float, last_s: float) -> float:
        return gap_s + _MEMORY * (min(last_s, self._quiet_s) - gap_s)
