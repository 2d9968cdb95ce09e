"""The confusion matrix, and what follows from it: accuracy, precision, recall, F1.

Functions of counts take any number of matrices at once: shape (..., n_experts, n_experts),
a row for the right expert, a column for the one that answered.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tame_router.evaluation.bootstrap import FloatArray, Statistic
from tame_router.evaluation.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainScore:
    """How well the questions of one expert are told from the others.

    Attributes:
        precision: Share of what it was given that is its own, in [0, 1]; 0 where it was
            given nothing.
        recall: Share of its own that it was given, in [0, 1]; 0 where it has none.
        f1: Harmonic mean of the two, in [0, 1].
        questions: Questions that are its own.
        decided: Questions that it was given.
    """

    precision: float
    recall: float
    f1: float
    questions: int
    decided: int


def count_confusion(table: Table) -> NDArray[np.intp]:
    """Count how often each expert was right (row) and answered (column); square."""
    width = len(table.experts)
    cells = np.bincount(table.domains * width + table.leads, minlength=width * width)
    return cells.reshape(width, width)


def accuracy(counts: NDArray[np.number]) -> FloatArray:
    """Give the share on the diagonal, in [0, 1]; of no question 0."""
    right = np.trace(counts, axis1=-2, axis2=-1)
    return _divide(right, counts.sum(axis=(-2, -1)))


def precision(counts: NDArray[np.number]) -> FloatArray:
    """Give each expert's precision, shape (..., n_experts)."""
    return _divide(_diagonal(counts), counts.sum(axis=-2))


def recall(counts: NDArray[np.number]) -> FloatArray:
    """Give each expert's recall, shape (..., n_experts)."""
    return _divide(_diagonal(counts), counts.sum(axis=-1))


def f1(counts: NDArray[np.number]) -> FloatArray:
    """Give each expert's F1, shape (..., n_experts)."""
    return _divide(2 * _diagonal(counts), counts.sum(axis=-1) + counts.sum(axis=-2))


def score_domains(table: Table) -> dict[str, DomainScore]:
    """Score every expert that has a question or was given one, by name."""
    counts = count_confusion(table)
    own, given = counts.sum(axis=1), counts.sum(axis=0)
    precisions, recalls, scores = precision(counts), recall(counts), f1(counts)
    return {
        name: DomainScore(
            precision=float(precisions[i]),
            recall=float(recalls[i]),
            f1=float(scores[i]),
            questions=int(own[i]),
            decided=int(given[i]),
        )
        for i, name in enumerate(table.experts)
        if own[i] or given[i]
    }


def accuracy_statistic(table: Table) -> Statistic:
    """Give the statistic that is the accuracy."""
    return _of_counts(table, accuracy)


def macro_f1_statistic(table: Table) -> Statistic:
    """Give the statistic that is the mean F1 of the experts that have a question of their own."""
    present = np.unique(table.domains)
    return _of_counts(table, lambda counts: f1(counts)[..., present].mean(axis=-1))


def _of_counts(table: Table, measure: Callable[[FloatArray], FloatArray]) -> Statistic:
    width = len(table.experts)
    cells = np.zeros((table.size, width * width))
    cells[np.arange(table.size), table.domains * width + table.leads] = 1

    def statistic(weights: FloatArray) -> FloatArray:
        return measure((weights @ cells).reshape(-1, width, width))

    return statistic


def _diagonal(counts: NDArray[np.number]) -> NDArray[np.number]:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _divide(part: NDArray[np.number], whole: NDArray[np.number]) -> FloatArray:
    shares: FloatArray = part / np.maximum(whole, 1)
    return shares
