"""Conformal sets hold the right expert as often as they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tame_router.routing.calibration import ANY_LANGUAGE, LEAST_LINES
from tame_router.routing.conformal import STEPS, ConformalLevels, fit_levels

LINES, ASKED = 600, 3_000
SLACK = 0.1
"""Four standard deviations of the coverage that 600 lines give, and more."""


def draw(
    rng: np.random.Generator, lines: int, sharpness: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Draw probabilities over four labels, and answers that need not follow them."""
    probabilities = rng.dirichlet(np.full(4, 1 / sharpness), lines)
    honest = (probabilities.cumsum(axis=1) < rng.random(lines)[:, None]).sum(axis=1)
    wrong = rng.integers(0, 4, lines)
    answers = np.where(rng.random(lines) < 0.8, np.minimum(honest, 3), wrong)
    return probabilities, answers.astype(np.intp)


@settings(max_examples=50)
@given(st.integers(0, 2**32), st.floats(0.3, 8), st.integers(0, STEPS - 1))
def test_coverage_is_what_was_stated(seed: int, sharpness: float, step: int) -> None:
    """On questions like the held-out lines, sets hold the right one as often as was asked."""
    rng = np.random.default_rng(seed)
    coverage = step / STEPS
    levels = fit_levels(*draw(rng, LINES, sharpness), ["en"] * LINES)
    probabilities, answers = draw(rng, ASKED, sharpness)
    least = levels.least_probability("en", coverage)
    held = probabilities[np.arange(ASKED), answers] >= least
    assert held.mean() >= coverage - SLACK


@given(st.lists(st.floats(0, 1), max_size=300))
def test_levels_fall(right: list[float]) -> None:
    """More coverage never asks for more probability, and every level is one."""
    rows = np.array([[p, 1 - p] for p in right]).reshape(-1, 2)
    levels = fit_levels(rows, np.zeros(len(rows), dtype=np.intp), ["en"] * len(rows))
    for values in levels.levels.values():
        assert len(values) == STEPS + 1
        assert list(values) == sorted(values, reverse=True)
        assert values[0] == 1
        assert values[-1] == 0
        assert all(0 <= value <= 1 for value in values)


@pytest.mark.parametrize(("lines", "highest"), [(0, 0.0), (1, 0.5), (9, 0.9), (99, 0.99)])
def test_too_few_lines_state_no_high_coverage(lines: int, highest: float) -> None:
    """A coverage that so few lines cannot state has level 0: the set holds everyone."""
    rows = np.full((lines, 2), 0.5)
    levels = fit_levels(rows, np.zeros(lines, dtype=np.intp), ["en"] * lines)
    assert levels.least_probability("en", highest) > 0
    assert levels.least_probability("en", highest + 0.01) == 0


def test_a_language_of_its_own_has_its_own_levels() -> None:
    """Enough lines give a language its levels; any other takes those of all lines."""
    right = np.array([0.9] * LEAST_LINES + [0.3] * (LEAST_LINES - 1))
    rows = np.column_stack([right, 1 - right])
    languages = ["zh-TW"] * LEAST_LINES + ["en"] * (LEAST_LINES - 1)
    levels = fit_levels(rows, np.zeros(len(rows), dtype=np.intp), languages)
    assert set(levels.levels) == {ANY_LANGUAGE, "zh-TW"}
    assert levels.least_probability("zh-TW", 0.9) == 0.9
    assert levels.least_probability("en", 0.9) == levels.least_probability("fr", 0.9) == 0.3


@pytest.mark.parametrize(
    ("coverage", "step"), [(0.0, 0), (0.9, 90), (0.29, 29), (0.901, 91), (0.07, 7), (1.0, 100)]
)
def test_a_coverage_between_steps_is_rounded_up(coverage: float, step: int) -> None:
    """What was asked for is kept, and no step is lost to rounding of floats."""
    falling = tuple(1 - i / STEPS for i in range(STEPS + 1))
    levels = ConformalLevels(levels={ANY_LANGUAGE: falling})
    assert levels.least_probability("en", coverage) == falling[step]
