"""How much may be asked twice: a share of the answers, so that retries never become a storm."""


class RetryBudget:
    """A purse that every answer puts a little into, and every second try takes 1 from.

    Pure: no clock. It begins full, so that the first failures after a start can be mended.

    Args:
        share: What one answer puts in, in [0, 1]: second tries per answer in the long run.
        most: What it holds at most, ≥ 0: second tries in one burst.
    """

    __slots__ = ("_held", "_most", "_share")

    def __init__(self, *, share: float, most: float) -> None:
        self._share = share
        self._most = most
        self._held = most

    def earn(self) -> None:
        """Put in the share of one answer."""
        self._held = min(self._most, self._held + self._share)

    def spend(self) -> bool:
        """Take 1 out; False: there is not enough, and the failure stands."""
        if self._held < 1:
            return False
        self._held -= 1
        return True
