"""The bootstrap: how far a figure would move with other questions of the same sort.

A statistic takes weights, how often each question stands in a resample, and gives one
value a resample; all weights 1 gives the figure itself. Statistics that are drawn
together see the same resamples, so their difference is paired.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13
(percentile intervals).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]

Statistic: TypeAlias = Callable[[FloatArray], FloatArray]
"""From weights, shape (n_resamples, n_questions), to values, shape (n_resamples,)."""

RESAMPLES = 2_000
SEED = 20_261_124
PERCENTILES = (2.5, 97.5)
"""Ends of a 95 % interval."""

_CELLS_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure and its 95 % interval.

    Attributes:
        value: The figure over the questions as they are.
        low: Lower end of the interval.
        high: Upper end of the interval.
        questions: Number of questions behind it, ≥ 1.
    """

    value: float
    low: float
    high: float
    questions: int


def mean(values: NDArray[np.generic]) -> Statistic:
    """Give the statistic that is the mean of a value per question, shape (n_questions,)."""
    numbers = values.astype(np.float64)

    def statistic(weights: FloatArray) -> FloatArray:
        means: FloatArray = weights @ numbers / len(numbers)
        return means

    return statistic


def difference(before: Statistic, after: Statistic) -> Statistic:
    """Give the statistic by how much `after` is higher than `before`."""
    return lambda weights: after(weights) - before(weights)


def estimate(
    statistics: Mapping[str, Statistic],
    questions: int,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    percentiles: tuple[float, float] = PERCENTILES,
) -> dict[str, Estimate]:
    """Estimate figures over the same questions, all from the same resamples.

    Args:
        statistics: By name.
        questions: Number of questions, ≥ 1.
        resamples: How many are drawn, ≥ 1.
        seed: Of the draws; the same seed gives the same intervals.
        percentiles: Ends of the intervals, in (0, 100).
    """
    drawn: dict[str, list[FloatArray]] = {name: [] for name in statistics}
    for weights in _resample(questions, resamples, seed):
        for name, statistic in statistics.items():
            drawn[name].append(statistic(weights))
    ones = np.ones((1, questions))
    estimates = {}
    for name, statistic in statistics.items():
        low, high = np.percentile(np.concatenate(drawn[name]), percentiles)
        estimates[name] = Estimate(
            value=float(statistic(ones)[0]), low=float(low), high=float(high), questions=questions
        )
    return estimates


def estimate_share(hits: Sequence[bool]) -> Estimate:
    """Estimate the share of hits among questions, one at the least."""
    return estimate({"share": mean(np.array(hits))}, len(hits))["share"]


def _resample(questions: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Give weights in parts that fit the memory; each row sums to the number of questions."""
    random = np.random.default_rng(seed)
    part = max(1, _CELLS_AT_ONCE // questions)
    for begun in range(0, resamples, part):
        rows = min(part, resamples - begun)
        drawn = random.integers(0, questions, (rows, questions))
        drawn += np.arange(rows)[:, None] * questions
        counts = np.bincount(drawn.ravel(), minlength=rows * questions)
        yield counts.reshape(rows, questions).astype(np.float64)
