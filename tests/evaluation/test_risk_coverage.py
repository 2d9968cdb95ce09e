"""The risk-coverage curve and its area."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.evaluation.outcome import Trial
from tame_router.evaluation.risk_coverage import aurc_statistic, trace_risk
from tame_router.evaluation.table import tabulate
from tests.evaluation.trials import EXPERTS, sure

trials = st.lists(
    st.builds(sure, st.sampled_from(EXPERTS), st.sampled_from(EXPERTS), st.floats(0.34, 1)),
    min_size=1,
    max_size=40,
)


def aurc(trials: list[Trial]) -> float:
    """Give the area of the curve."""
    return float(aurc_statistic(tabulate(trials))(np.ones((1, len(trials))))[0])


def test_the_curve_is_that_counted_by_hand() -> None:
    """Right at 0.9, wrong at 0.8, right at 0.6: risks 0, 1/2, 1/3, and their mean the area."""
    hand = [
        sure("legal", "medical", 0.8),
        sure("legal", "legal", 0.9),
        sure("legal", "legal", 0.6),
    ]
    points = trace_risk(tabulate(hand))
    assert [p.threshold for p in points] == [0.9, 0.8, 0.6]
    assert [p.coverage for p in points] == pytest.approx([1 / 3, 2 / 3, 1])
    assert [p.risk for p in points] == pytest.approx([0, 1 / 2, 1 / 3])
    assert aurc(hand) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)


def test_a_perfect_ranking_has_the_least_area() -> None:
    """With every mistake below every right answer, risk begins only after those."""
    best = [sure("legal", "legal", c) for c in (0.9, 0.8, 0.7)] + [sure("legal", "medical", 0.5)]
    worst = [sure("legal", "legal", c) for c in (0.6, 0.7, 0.8)] + [sure("legal", "medical", 0.9)]
    assert aurc(best) == pytest.approx((1 / 4) / 4)
    assert aurc(worst) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_equals_are_kept_together() -> None:
    """Questions of one confidence make one point, whatever their order."""
    equals = [sure("legal", "legal", 0.7), sure("legal", "medical", 0.7)]
    assert len(trace_risk(tabulate(equals))) == 1
    assert aurc(equals) == aurc(equals[::-1]) == pytest.approx(0.5)


def test_a_long_curve_is_thinned() -> None:
    """No more points than asked for, and the last is still all questions."""
    many = [sure("legal", "legal", 0.5 + i / 4_000) for i in range(1_000)]
    points = trace_risk(tabulate(many), most=50)
    assert len(points) == 50
    assert points[-1].coverage == 1


@given(trials)
def test_the_curve_ends_with_all_questions(trials: list[Trial]) -> None:
    """At full coverage the risk is the share of wrong; coverage grows; the area is in [0, 1]."""
    table = tabulate(trials)
    points = trace_risk(table)
    coverages = [p.coverage for p in points]
    assert points[-1].coverage == 1
    assert points[-1].risk == pytest.approx((~table.top_right).mean())
    assert coverages == sorted(coverages)
    assert 0 <= aurc(trials) <= 1


@given(trials)
def test_the_area_does_not_depend_on_the_order(trials: list[Trial]) -> None:
    """The order of the questions means nothing, ties included."""
    assert aurc(trials[::-1]) == pytest.approx(aurc(trials))
