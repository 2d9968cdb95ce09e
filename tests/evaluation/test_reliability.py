"""Reliability bins and the Brier score."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.evaluation.outcome import Trial
from tame_router.evaluation.reliability import bin_reliability, brier_statistic
from tame_router.evaluation.table import tabulate
from tame_router.routing.calibration import expected_calibration_error
from tests.evaluation.trials import EXPERTS, sure, trial

trials = st.lists(
    st.builds(sure, st.sampled_from(EXPERTS), st.sampled_from(EXPERTS), st.floats(0.34, 1)),
    min_size=1,
    max_size=40,
)


def test_bins_hold_what_was_counted_by_hand() -> None:
    """Two questions near 0.9, one of them right; one sure and right at 1."""
    table = tabulate(
        [sure("legal", "legal", 0.88), sure("legal", "medical", 0.92), sure("legal", "legal", 1.0)]
    )
    low, high = bin_reliability(table, bins=5)[0], bin_reliability(table, bins=8)[-1]
    assert (low.low, low.high, low.questions) == (0.8, 1.0, 3)
    assert low.confidence == pytest.approx((0.88 + 0.92 + 1) / 3)
    assert low.accuracy == pytest.approx(2 / 3)
    assert (high.low, high.questions) == (0.875, 3)


def test_the_brier_score_is_that_of_the_definition() -> None:
    """It sums squared distances over all experts, and is the mean over questions."""
    table = tabulate(
        [
            trial("legal", {"legal": 0.7, "medical": 0.3}),
            trial("legal", {"medical": 1.0, "legal": 0.0}),
        ]
    )
    by_hand = ((0.3**2 + 0.3**2) + (1 + 1)) / 2
    assert brier_statistic(table)(np.ones((1, 2)))[0] == pytest.approx(by_hand)


@given(trials)
def test_the_bins_make_up_the_calibration_error(trials: list[Trial]) -> None:
    """The weighted gaps of the bins sum to the expected calibration error, which is in [0, 1]."""
    table = tabulate(trials)
    bins = bin_reliability(table)
    gaps = sum(b.questions * abs(b.accuracy - b.confidence) for b in bins) / table.size
    error = expected_calibration_error(table.probabilities, table.domains)
    assert 0 <= error <= 1
    assert gaps == pytest.approx(error)
    assert sum(b.questions for b in bins) == table.size


@given(trials)
def test_the_brier_score_lies_between_its_bounds(trials: list[Trial]) -> None:
    """It is 0 at the least and 2 at the most."""
    table = tabulate(trials)
    assert 0 <= brier_statistic(table)(np.ones((1, table.size)))[0] <= 2
