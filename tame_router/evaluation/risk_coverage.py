"""Does the router know what it does not know? Risk where only sure decisions are kept.

At each coverage, the share of questions that are kept (the most confident ones), the risk
is the share of those whose most probable expert is wrong.

Source: Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks",
NeurIPS 2017; the area: Geifman, Uziel and El-Yaniv, "Bias-Reduced Uncertainty Estimation
for Deep Neural Classifiers", ICLR 2019.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tame_router.evaluation.bootstrap import FloatArray, Statistic
from tame_router.evaluation.table import Table

MOST_POINTS = 200
"""Points of a curve that is kept; more cannot be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskPoint:
    """A point of the curve.

    Attributes:
        threshold: Least probability that is kept, in [0, 1].
        coverage: Share of the questions that is kept, in (0, 1].
        risk: Share of those that is wrong, in [0, 1].
    """

    threshold: float
    coverage: float
    risk: float


def trace_risk(table: Table, most: int = MOST_POINTS) -> tuple[RiskPoint, ...]:
    """Trace the curve from the surest questions to all of them.

    Questions of equal confidence are kept or left together.

    Args:
        table: The decisions, one at the least.
        most: Most points, evenly chosen; the last, all questions, is always among them.
    """
    order, ends = _rank(table.confidences)
    wrong = np.cumsum(~table.top_right[order])[ends]
    kept = ends + 1
    chosen = np.unique(np.linspace(0, len(ends) - 1, min(most, len(ends))).round().astype(int))
    return tuple(
        RiskPoint(
            threshold=float(table.confidences[order[ends[i]]]),
            coverage=float(kept[i] / table.size),
            risk=float(wrong[i] / kept[i]),
        )
        for i in chosen
    )


def aurc_statistic(table: Table) -> Statistic:
    """Give the statistic that is the area under the curve, in [0, 1]; lower is better.

    It is the mean, over all questions, of the risk among those at least as sure.
    """
    order, ends = _rank(table.confidences)
    wrong = (~table.top_right[order]).astype(np.float64)

    def statistic(weights: FloatArray) -> FloatArray:
        ranked = weights[:, order]
        kept = np.cumsum(ranked, axis=1)[:, ends]
        risks = np.cumsum(ranked * wrong, axis=1)[:, ends] / np.maximum(kept, 1)
        shares = np.diff(kept, axis=1, prepend=0)
        areas: FloatArray = (shares * risks).sum(axis=1) / table.size
        return areas

    return statistic


def _rank(confidences: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the order from sure to unsure, and where in it each run of equals ends."""
    order = np.argsort(-confidences, kind="stable")
    ranked = confidences[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return order, ends
