"""Which questions are asked."""

from hypothesis import given
from hypothesis import strategies as st

from tame_router.catalog.evaluation import ChoiceCase
from tame_router.registry.gate.evaluation_sets import MOST_BROUGHT, EvaluationSets, added
from tests.registry.gate.conftest import choice

CASES = tuple(choice(n, must_pass=n % 10 == 0) for n in range(50))


DUTIES = tuple(case for case in CASES if case.must_pass)


@given(st.integers(1, 60), st.integers(0, 5))
def test_the_lot_keeps_what_must_pass(most: int, seed: int) -> None:
    """Never more than are wanted, each once, in their order, and what must pass before the rest."""
    drawn = EvaluationSets(own=CASES, others={"medical": CASES}).drawn(most, most, seed)
    assert len(drawn.own) == min(50, most)
    assert sum(case.must_pass for case in drawn.own) == min(len(DUTIES), most)
    assert len(drawn.others["medical"]) == min(50, most)
    for cases in (drawn.own, drawn.others["medical"]):
        assert list(cases) == [case for case in CASES if case in cases]


@given(st.integers(0, 300), st.integers(1, 60), st.integers(0, 5))
def test_what_is_brought_displaces_nothing(brings: int, most: int, seed: int) -> None:
    """However many cases come with an upload, the same own ones are asked, and few of its."""
    brought = tuple(choice(n, must_pass=True) for n in range(100, 100 + brings))
    drawn = EvaluationSets(own=CASES, brought=brought).drawn(most, 0, seed)
    assert drawn.own == EvaluationSets(own=CASES).drawn(most, 0, seed).own
    assert len(drawn.brought) == min(brings, most, MOST_BROUGHT)


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
    """Of one id the service's case stays, and what is brought need not be passed."""
    easy = ChoiceCase(
        id="c01", lang="en", kind="choice", question="1+1?", choices=("2", "3"), answer=0
    )
    assert added(CASES[:3], (easy, choice(99, must_pass=True))) == (choice(99),)
