"""Which questions are asked."""

from hypothesis import given
from hypothesis import strategies as st

from tame_router.catalog.evaluation import ChoiceCase
from tame_router.registry.gate.evaluation_sets import EvaluationSets, joined
from tests.registry.gate.conftest import choice

CASES = tuple(choice(n, must_pass=n % 10 == 0) for n in range(50))


@given(st.integers(1, 60), st.integers(0, 5))
def test_the_lot_keeps_what_must_pass(most: int, seed: int) -> None:
    """As many as are wanted, each once, in their order, all that must pass among them."""
    drawn = EvaluationSets(own=CASES, others={"medical": CASES}).drawn(most, most, seed)
    assert len(drawn.own) == min(50, max(5, most))
    assert {case.id for case in CASES if case.must_pass} <= {case.id for case in drawn.own}
    assert len(drawn.others["medical"]) == min(50, most)
    for cases in (drawn.own, drawn.others["medical"]):
        assert list(cases) == [case for case in CASES if case in cases]


def test_others_may_be_asked_less() -> None:
    """Or nothing at all: nothing of theirs is a duty of this expert's."""
    sets = EvaluationSets(own=CASES, others={"medical": CASES})
    assert len(sets.drawn(20, 3, 1).others["medical"]) == 3
    assert sets.drawn(20, 0, 1).others["medical"] == ()


def test_equal_seeds_draw_equally() -> None:
    """The same seed asks the same, another one something else."""
    sets = EvaluationSets(own=CASES)
    assert sets.drawn(20, 20, 1) == sets.drawn(20, 20, 1)
    assert sets.drawn(20, 20, 1) != sets.drawn(20, 20, 2)


def test_an_upload_adds_cases_and_replaces_none() -> None:
    """Of one id the service's case stays: nobody makes the gate easier by uploading a set."""
    easy = ChoiceCase(
        id="c01", lang="en", kind="choice", question="1+1?", choices=("2", "3"), answer=0
    )
    cases = joined(CASES[:3], (easy, choice(99)))
    assert cases == (*CASES[:3], choice(99))
