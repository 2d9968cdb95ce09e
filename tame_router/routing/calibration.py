"""Calibration: make a probability mean what it says, by one temperature per language.

Logits of lines that a model was not trained on are divided by the temperature that makes
the right answers most likely. It changes no ranking. Values in, values out.

Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; the prior is
that of Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

ANY_LANGUAGE = "any"
"""Key of the temperature for a language that had too few lines of its own."""

LEAST_LINES = 50
"""Held-out lines from which a language gets a temperature of its own."""

COLDEST, HOTTEST = 0.01, 100.0
"""Temperatures between which the best one is sought."""

_GOLDEN = (math.sqrt(5) - 1) / 2


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Turn logits into probabilities along the last axis; shape kept, float64."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    powers: NDArray[np.float64] = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


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
