"""A bet against an assumption, as answers come in: capital that grows only if it is wrong.

Each round brings a value in [-1, 1] whose mean, if the assumption holds, is at most zero.
A share of the capital is put on it being above. Whatever the values' distribution and
however often one looks, the capital ever reaches 1/a with a probability of at most a where
the assumption holds. So nothing has to be said beforehand about how long one will look.

Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
2024; Ville's inequality.
"""

import math
from collections.abc import Sequence
from typing import Final

SHARES: Final = (0.25, 0.5)
"""Shares of the capital that are put on each round, each by a bettor of its own: small ones win
where the difference is small, large ones fast where it is large. Their mean counts."""


class Wager:
    """One bet under way.

    Args:
        shares: What each bettor puts on a round, in (0, 1).
    """

    __slots__ = ("_logs", "_shares", "rounds")

    def __init__(self, shares: Sequence[float] = SHARES) -> None:
        self._shares = tuple(shares)
        self._logs = [0.0] * len(self._shares)
        self.rounds = 0

    def play(self, value: float) -> None:
        """Play a round.

        Args:
            value: In [-1, 1]; what is beyond counts as the end.
        """
        value = max(-1.0, min(1.0, value))
        self._logs = [
            log + math.log1p(share * value)
            for log, share in zip(self._logs, self._shares, strict=True)
        ]
        self.rounds += 1

    @property
    def log_capital(self) -> float:
        """Logarithm of the capital, all bettors' mean; it began with 1."""
        return log_mean(self._logs)

    def wins(self, error: float) -> bool:
        """Tell whether the assumption is to be given up, wrongly with at most this probability."""
        return self.log_capital >= -math.log(error)


def log_mean(logs: Sequence[float], weights: Sequence[float] = ()) -> float:
    """Give the logarithm of the mean of what has these logarithms; at least one.

    Args:
        logs: The logarithms.
        weights: How much each counts; they sum to 1. None: all the same.
    """
    most = max(logs)
    shares = weights or [1 / len(logs)] * len(logs)
    total = sum(share * math.exp(log - most) for log, share in zip(logs, shares, strict=True))
    return most + math.log(total)
