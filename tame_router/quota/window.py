"""What was used in a span of time that slides. Pure: the clock is the caller's."""

from collections.abc import Mapping

from tame_router.quota.limit import Limit


class Window:
    """Counts by steps, and forgets a step once all of it lies before the span.

    In no span of that length, wherever it begins, is more counted than the sum told here.

    Args:
        limit: Its span and steps.
    """

    __slots__ = ("_counts", "_edge", "_limit", "_step_s", "_sum")

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._step_s = limit.step_s
        self._counts: dict[int, int] = {}
        self._edge = 0
        self._sum = 0

    @property
    def counts(self) -> Mapping[int, int]:
        """What was counted, by number of the step."""
        return self._counts

    def used(self, now: float) -> int:
        """Give what was used in the span that ends at a moment."""
        edge = int(now // self._step_s) - self._limit.steps
        if edge != self._edge:
            self._slide(edge)
        return self._sum

    def add(self, step: int, amount: int) -> bool:
        """Count an amount, which may be negative; False: its step has left the span already."""
        if step < self._edge:
            return False
        self._counts[step] = self._counts.get(step, 0) + amount
        self._sum += amount
        return True

    def wait_s(self, excess: int, now: float) -> float:
        """Tell how long it takes, in seconds, until an amount has left the span.

        Args:
            excess: The amount, at most what was used.
            now: The moment `used` was asked for.
        """
        step = self._limit.step(now)
        for step in sorted(self._counts):
            excess -= self._counts[step]
            if excess <= 0:
                break
        return max((step + self._limit.steps + 1) * self._step_s - now, 0.0)

    def _slide(self, edge: int) -> None:
        if edge < self._edge:
            if self._edge - edge <= self._limit.steps:
                return  # a clock set back a little: nothing is let in earlier for that
            self._counts.clear()  # set back by more than the span: the counts mean nothing
        self._edge = edge
        for step in [step for step in self._counts if step < edge]:
            del self._counts[step]
        self._sum = sum(self._counts.values())
