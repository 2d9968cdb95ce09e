"""Decisions as arrays."""

from tame_router.evaluation.table import tabulate
from tests.evaluation.trials import trial


def test_columns_are_all_experts_that_are_named() -> None:
    """Those asked for, right, leading or probable; sorted, and 0 where nothing is said."""
    trials = [
        trial("a", {"b": 0.6, "c": 0.4}),
        trial("b", {"b": 1.0}, lead="d"),
    ]
    table = tabulate(trials, ["e"])
    assert table.experts == ("a", "b", "c", "d", "e")
    assert table.domains.tolist() == [0, 1]
    assert table.leads.tolist() == [1, 3]
    assert table.probabilities.tolist() == [[0, 0.6, 0.4, 0, 0], [0, 1, 0, 0, 0]]
    assert table.confidences.tolist() == [0.6, 1.0]
    assert table.top_right.tolist() == [False, True]


def test_no_trial_gives_an_empty_table() -> None:
    """Shapes hold with nothing in them."""
    table = tabulate([], ["a"])
    assert (table.size, table.probabilities.shape) == (0, (0, 1))
