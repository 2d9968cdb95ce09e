"""Calibration: make a probability mean what it says.

Logits of lines that a classifier was not trained on are divided by the temperature, one
for each language, that makes the right answers most likely; a sigmoid of its own slope and
offset tells how likely a label applies whatever the others do. Neither changes a ranking.
Values in, values out.

Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; the sigmoid and
the prior are those of Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ANY_LANGUAGE = "any"
"""Key of the temperature for a language that had too few lines of its own."""

LEAST_LINES = 50
"""Held-out lines from which a language gets a temperature of its own."""

COLDEST, HOTTEST = 0.01, 100.0
"""Temperatures between which the best one is sought."""

_NEWTON_STEPS = 50

_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What makes probabilities of logits.

    Attributes:
        temperatures: By language, with one for `ANY_LANGUAGE`; each > 0.
        slope: What a logit is multiplied with before the sigmoid, > 0.
        offset: What is added to it then.
    """

    temperatures: Mapping[str, float]
    slope: float
    offset: float

    def temperature(self, language: str) -> float:
        """Give the temperature for a language."""
        return self.temperatures.get(language, self.temperatures[ANY_LANGUAGE])

    def probabilities(self, logits: NDArray[np.floating], language: str) -> NDArray[np.float64]:
        """Share one between the labels, along the last axis."""
        return softmax(logits, self.temperature(language))

    def shares(self, logits: Sequence[float], language: str) -> list[float]:
        """Share one between the labels of one text: `probabilities`, by plain arithmetic."""
        # Of a handful of numbers an array's operations cost ten times what they compute.
        temperature = self.temperature(language)
        scaled = [logit / temperature for logit in logits]
        top = max(scaled)
        powers = [math.exp(value - top) for value in scaled]
        total = sum(powers)
        return [power / total for power in powers]

    def marks(self, logits: Sequence[float]) -> list[float]:
        """Judge each label of one text by itself: `relevances`, by plain arithmetic."""
        slope, offset = self.slope, self.offset
        return [0.5 * (1 + math.tanh((slope * logit + offset) / 2)) for logit in logits]

    def relevances(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Judge each label by itself, in [0, 1]."""
        return sigmoid(self.slope * np.asarray(logits, dtype=np.float64) + self.offset)


def sigmoid(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Map numbers to (0, 1), 0 to a half; shape kept, float64."""
    result: NDArray[np.float64] = 0.5 * (1 + np.tanh(np.asarray(values, dtype=np.float64) / 2))
    return result


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Turn logits into probabilities along the last axis; shape kept, float64."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    # The ufuncs themselves: an array's methods take as long again to reach them.
    powers: NDArray[np.float64] = np.exp(scaled - np.maximum.reduce(scaled, axis=-1, keepdims=True))
    probabilities: NDArray[np.float64] = powers / np.add.reduce(powers, axis=-1, keepdims=True)
    return probabilities


def fit_calibration(
    logits: NDArray[np.floating],
    truths: NDArray[np.bool_],
    languages: Sequence[str],
    relevant: NDArray[np.floating] | None = None,
) -> Calibration:
    """Fit a calibration to held-out lines.

    Temperatures are fitted to the lines that belong to one label, the sigmoid to all.

    Args:
        logits: Shape (n_lines, n_labels).
        truths: Which labels apply, at least one each; shape (n_lines, n_labels).
        languages: Language of each line.
        relevant: Logits that relevances are made of, of the same shape; None: the same.
    """
    single = truths.sum(axis=1) == 1
    spoken = [language for language, alone in zip(languages, single, strict=True) if alone]
    slope, offset = fit_sigmoid(logits if relevant is None else relevant, truths)
    return Calibration(
        temperatures=dict(fit_temperatures(logits[single], truths[single].argmax(axis=1), spoken)),
        slope=slope,
        offset=offset,
    )


def fit_sigmoid(logits: NDArray[np.floating], truths: NDArray[np.bool_]) -> tuple[float, float]:
    """Find slope and offset of the sigmoid with the least log loss; (1, 0) without lines.

    How many questions for two experts somebody wrote says nothing about how often they are
    asked: they count as much as all others together. Newton's method on Platt's smoothed
    targets; the loss is convex.

    Args:
        logits: Shape (n_lines, n_labels).
        truths: Which labels apply, of the same shape.
    """
    right, wrong = int(truths.sum()), int((~truths).sum())
    if not right or not wrong:
        return 1.0, 0.0
    targets = np.where(truths, (right + 1) / (right + 2), 1 / (wrong + 2)).ravel()
    values = np.asarray(logits, dtype=np.float64).ravel()
    design = np.column_stack([values, np.ones(len(values))])
    joint = truths.sum(axis=1) > 1
    weight = np.where(joint, (~joint).sum() / max(1, joint.sum()), 1.0)
    weights = np.repeat(
        weight if joint.any() and not joint.all() else np.ones(len(joint)), truths.shape[1]
    )
    solution = np.array([1.0, 0.0])
    for _ in range(_NEWTON_STEPS):
        found = sigmoid(design @ solution)
        gradient = design.T @ (weights * (found - targets))
        bend = weights * (found * (1 - found) + 1e-12)
        curvature = (design.T * bend) @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        solution -= step * min(1.0, 5 / (np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return max(float(solution[0]), 1e-3), float(solution[1])


def fit_temperatures(
    logits: NDArray[np.floating], answers: NDArray[np.intp], languages: Sequence[str]
) -> Mapping[str, float]:
    """Fit a temperature for each language, and one for any other.

    Args:
        logits: Of held-out lines, shape (n_lines, n_labels).
        answers: Column of the right label, shape (n_lines,).
        languages: Language of each line.
    """
    spoken = np.array(languages)
    temperatures = {ANY_LANGUAGE: fit_temperature(logits, answers)}
    for language in sorted(set(languages)):
        mine = spoken == language
        if mine.sum() >= LEAST_LINES:
            temperatures[language] = fit_temperature(logits[mine], answers[mine])
    return temperatures


def fit_temperature(logits: NDArray[np.floating], answers: NDArray[np.intp]) -> float:
    """Find the temperature with the least log loss; 1 where there is no line.

    The loss has one minimum in the logarithm of the temperature (it is convex in the
    inverse), so a golden-section search finds it. Platt's prior keeps lines that are all
    answered rightly from making the model certain: as if one answer more had been wrong.
    """
    if len(answers) == 0:
        return 1.0
    wrong = 1 / (len(answers) + 2)
    best = _minimise(
        lambda log: log_loss(softmax(logits, math.exp(log)), answers, smoothing=wrong),
        math.log(COLDEST),
        math.log(HOTTEST),
    )
    return math.exp(best)


def log_loss(
    probabilities: NDArray[np.float64], answers: NDArray[np.intp], smoothing: float = 0.0
) -> float:
    """Give the mean cross-entropy between the right labels and the probabilities, in nats.

    Args:
        probabilities: Shape (n_lines, n_labels).
        answers: Column of the right label, shape (n_lines,).
        smoothing: Share of each answer that is spread evenly over all labels, in [0, 1).
    """
    logs = np.log(np.maximum(probabilities, 1e-300))
    right = logs[np.arange(len(answers)), answers].mean()
    return float(-(1 - smoothing) * right - smoothing * logs.mean())


def expected_calibration_error(
    probabilities: NDArray[np.floating], answers: NDArray[np.intp], bins: int = 15
) -> float:
    """Give the mean distance between the top probability and how often it is right, in [0, 1].

    Args:
        probabilities: Shape (n_lines, n_labels).
        answers: Column of the right label, shape (n_lines,).
        bins: Equal parts of (0, 1] that are compared.
    """
    if len(answers) == 0:
        return 0.0
    top = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == answers
    bin_of = np.minimum((top * bins).astype(int), bins - 1)
    gaps = [abs(right[bin_of == b].sum() - top[bin_of == b].sum()) for b in range(bins)]
    return float(sum(gaps) / len(answers))


def _minimise(function: Callable[[float], float], low: float, high: float) -> float:
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > 1e-4:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return (low + high) / 2
