"""The confusion matrix and what follows from it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.evaluation.confusion import (
    accuracy,
    accuracy_statistic,
    count_confusion,
    macro_f1_statistic,
    score_domains,
)
from tame_router.evaluation.outcome import Trial
from tame_router.evaluation.table import tabulate
from tests.evaluation.trials import EXPERTS, HAND, sure

trials = st.lists(
    st.builds(sure, st.sampled_from(EXPERTS), st.sampled_from(EXPERTS)), min_size=1, max_size=40
)


def test_the_matrix_counts_right_by_answered() -> None:
    """A row for the right expert, a column for the one that answered, both sorted."""
    table = tabulate(HAND)
    assert table.experts == EXPERTS
    assert count_confusion(table).tolist() == [[1, 0, 0], [0, 2, 1], [1, 0, 1]]


def test_scores_are_those_counted_by_hand() -> None:
    """Legal: 2 of 2 given, 2 of 3 own; medical: 1 of 2, 1 of 2; general: 1 of 2, 1 of 1."""
    scores = score_domains(tabulate(HAND))
    legal, medical, general = scores["legal"], scores["medical"], scores["general"]
    assert (legal.precision, legal.recall, legal.f1) == pytest.approx((1, 2 / 3, 0.8))
    assert (medical.precision, medical.recall, medical.f1) == pytest.approx((0.5, 0.5, 0.5))
    assert (general.precision, general.recall, general.f1) == pytest.approx((0.5, 1, 2 / 3))
    assert (legal.questions, legal.decided) == (3, 2)


def test_macro_f1_is_the_mean_over_experts_with_a_question() -> None:
    """Every expert counts the same, and one without a question does not count."""
    ones = np.ones((1, len(HAND)))
    hand = macro_f1_statistic(tabulate(HAND))(ones)
    other = macro_f1_statistic(tabulate(HAND, [*EXPERTS, "unasked"]))(ones)
    assert hand[0] == other[0] == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)


def test_an_expert_that_nobody_asked_for_is_not_scored() -> None:
    """Neither asked for nor answering, it has no row among the scores."""
    assert "unasked" not in score_domains(tabulate(HAND, ["unasked"]))


def test_an_expert_that_never_answers_scores_nothing() -> None:
    """Its precision is 0, not a division by zero."""
    score = score_domains(tabulate([sure("legal", "medical")]))["legal"]
    assert (score.precision, score.recall, score.f1) == (0, 0, 0)


@given(trials)
def test_accuracy_is_the_diagonal_of_the_matrix(trials: list[Trial]) -> None:
    """The matrix's trace, over its sum, is the share of right decisions."""
    table = tabulate(trials)
    counts = count_confusion(table)
    share = sum(t.right for t in trials) / len(trials)
    assert counts.sum() == len(trials)
    assert accuracy(counts) == pytest.approx(share)
    assert accuracy_statistic(table)(np.ones((1, len(trials))))[0] == pytest.approx(share)


@given(trials, st.integers(0, 3))
def test_weights_are_repetitions(trials: list[Trial], times: int) -> None:
    """A question of weight n counts like n questions."""
    weights = np.ones((1, len(trials)))
    weights[0, 0] = times + 1
    weighted = macro_f1_statistic(tabulate(trials))(weights)
    again = tabulate([*trials, *[trials[0]] * times])
    assert weighted[0] == pytest.approx(macro_f1_statistic(again)(np.ones((1, again.size)))[0])
