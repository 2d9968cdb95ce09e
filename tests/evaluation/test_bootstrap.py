"""Bootstrap intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.evaluation.bootstrap import difference, estimate, estimate_share, mean


def test_the_interval_is_about_that_of_theory() -> None:
    """A share of 0.8 over 1,000 questions: 1.96 standard errors on either side."""
    found = estimate_share([True] * 800 + [False] * 200)
    width = 1.96 * np.sqrt(0.8 * 0.2 / 1_000)
    assert found.value == pytest.approx(0.8)
    assert found.questions == 1_000
    assert found.low == pytest.approx(0.8 - width, abs=0.004)
    assert found.high == pytest.approx(0.8 + width, abs=0.004)


@given(st.lists(st.booleans(), min_size=60, max_size=120))
def test_the_interval_holds_the_figure(hits: list[bool]) -> None:
    """With many questions the figure lies within its interval."""
    found = estimate_share(hits)
    assert found.low <= found.value <= found.high


def test_the_same_seed_gives_the_same_interval() -> None:
    """Nothing is left to chance between two runs; another seed draws anew."""
    statistics = {"mean": mean(np.arange(50))}
    first = estimate(statistics, 50)
    assert first == estimate(statistics, 50)
    assert first["mean"].low != estimate(statistics, 50, seed=1)["mean"].low


def test_resamples_keep_the_number_of_questions() -> None:
    """Every resample has as many questions as there are, also where memory is in parts."""
    found = estimate({"size": mean(np.ones(700))}, 700)["size"]
    assert (found.low, found.value, found.high) == (1, 1, 1)


def test_differences_are_paired() -> None:
    """What is the same for both cancels out in every resample."""
    values = np.arange(40) % 7
    found = estimate({"d": difference(mean(values), mean(values + 1))}, 40)["d"]
    assert (found.low, found.value, found.high) == pytest.approx((1, 1, 1))


def test_one_question_is_enough() -> None:
    """Its interval has no width."""
    found = estimate_share([True])
    assert (found.low, found.value, found.high, found.questions) == (1, 1, 1, 1)
