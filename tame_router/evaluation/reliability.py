"""Do the probabilities mean what they say? Reliability bins and the Brier score.

Both judge the probabilities, before threshold and fallback make a decision of them.
"""

from dataclasses import dataclass

import numpy as np

from tame_router.evaluation.bootstrap import Statistic, mean
from tame_router.evaluation.table import Table

BINS = 15
"""Equal parts of (0, 1], as many as the expected calibration error compares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Questions whose highest probability lies between two bounds; never none.

    Attributes:
        low: Lower bound, in [0, 1).
        high: Upper bound, in (0, 1].
        questions: How many there are.
        confidence: Mean of their highest probability.
        accuracy: Share of them whose most probable expert is right.
    """

    low: float
    high: float
    questions: int
    confidence: float
    accuracy: float


def bin_reliability(table: Table, bins: int = BINS) -> tuple[Bin, ...]:
    """Sort questions into equal bins of their highest probability; empty bins are left out."""
    top, right = table.confidences, table.top_right
    bin_of = np.minimum((top * bins).astype(int), bins - 1)
    return tuple(
        Bin(
            low=number / bins,
            high=(number + 1) / bins,
            questions=int((bin_of == number).sum()),
            confidence=float(top[bin_of == number].mean()),
            accuracy=float(right[bin_of == number].mean()),
        )
        for number in np.unique(bin_of).tolist()
    )


def brier_statistic(table: Table) -> Statistic:
    """Give the statistic that is the Brier score, in [0, 2]; 0 is sure and right every time.

    It sums, over all experts, the squared distance between probability and truth.

    Source: Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950.
    """
    truth = np.zeros_like(table.probabilities)
    truth[np.arange(table.size), table.domains] = 1
    return mean(((table.probabilities - truth) ** 2).sum(axis=1))
