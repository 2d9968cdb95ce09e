"""Tells a burst, which passes by itself, from a queue that stands. Pure.

A queue is there to hold what comes at once for a moment. Where there is lasting more work than
capacity it is always full: it makes everybody wait, and not one answer more is written.

Source: Nichols, Jacobson, "Controlling Queue Delay", ACM Queue 2012; Maurer, "Fail at Scale",
ACM Queue 2015, whose queues too are shortened when they have not been empty for a while.
"""


class StandingQueue:
    """Watches whether somebody waits.

    Args:
        long_s: A queue stands that has not been empty for so long, and until it has been for as
            long; > 0.
    """

    __slots__ = ("_long_s", "_since", "_stands", "_waited_in")

    def __init__(self, long_s: float) -> None:
        self._long_s = long_s
        self._since = float("-inf")
        self._waited_in = False
        self._stands = False

    def see(self, now: float, *, waited_in: bool) -> None:
        """Take note of whether somebody waits, whenever that may have changed.

        Args:
            now: When; never before an earlier call.
            waited_in: Whether somebody does.
        """
        if waited_in is not self._waited_in:
            self.stands(now)
            self._since, self._waited_in = now, waited_in

    def stands(self, now: float) -> bool:
        """Tell whether the queue stands.

        Args:
            now: When; never before an earlier call.
        """
        if now - self._since >= self._long_s:
            self._stands = self._waited_in
        return self._stands
