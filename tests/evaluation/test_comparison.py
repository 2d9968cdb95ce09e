"""Two routers on the same questions."""

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tame_router.errors import InvalidRequestError
from tame_router.evaluation.comparison import compare
from tame_router.evaluation.outcome import Trial
from tame_router.evaluation.question import Kind
from tests.evaluation.trials import EXPERTS, sure, trial

answers = st.lists(
    st.tuples(*[st.sampled_from(EXPERTS)] * 3),
    min_size=1,
    max_size=30,
)


def names(trials: int) -> list[str]:
    """Give an id for each trial."""
    return [f"q{i}" for i in range(trials)]


def test_the_difference_is_that_counted_by_hand() -> None:
    """A gets 1 of 4, B gets 3 of 4: two mended, one of them by another lead, none broken."""
    rights = ["legal", "legal", "medical", "general"]
    a = [
        sure(r, lead, name=n)
        for r, lead, n in zip(
            rights, ["legal"] * 1 + ["general"] * 2 + ["legal"], names(4), strict=True
        )
    ]
    b = [
        sure(r, lead, name=n)
        for r, lead, n in zip(rights, ["legal", "legal", "medical", "legal"], names(4), strict=True)
    ]
    found = compare(a, b[::-1])  # matched by id, whatever the order
    accuracy = found.figures["accuracy"]
    assert (accuracy.a, accuracy.b, accuracy.value) == (0.25, 0.75, 0.5)
    assert accuracy.low <= 0.5 <= accuracy.high
    assert [change.id for change in found.mended] == ["q1", "q2"]
    assert (found.mended[0].a, found.mended[0].b) == (("general",), ("legal",))
    assert (found.broken, found.questions) == ((), 4)
    assert list(found.figures) == ["accuracy", "macro_f1"]


def test_a_clear_difference_is_certain_and_a_small_one_is_not() -> None:
    """An interval that leaves out 0 tells the two apart."""
    before = [sure("legal", "medical", name=n) for n in names(50)]
    after = [sure("legal", "legal", name=n) for n in names(50)]
    hardly = [*after[:1], *before[1:]]
    assert compare(before, after).figures["accuracy"].certain
    assert compare(after, before).figures["accuracy"].certain
    assert not compare(before, hardly).figures["accuracy"].certain


def test_every_kind_of_question_is_compared() -> None:
    """Those out of domain by the fallback, those of several experts by all being found."""
    probabilities = {"legal": 0.6, "medical": 0.4}

    def decided(lead: str, *experts: str) -> list[Trial]:
        return [
            trial("legal medical", probabilities, experts=experts, kind=Kind.MULTI, name="m"),
            trial("general", {lead: 1.0}, kind=Kind.OUT_OF_DOMAIN, name="o"),
        ]

    found = compare(decided("legal", "legal"), decided("general", "legal", "medical"))
    assert {name: (d.a, d.b) for name, d in found.figures.items()} == {
        "multi": (0, 1),
        "out_of_domain": (0, 1),
    }
    assert [change.id for change in found.mended] == ["m", "o"]


@examples(max_examples=25)
@given(answers)
def test_comparing_the_other_way_round_turns_the_sign(rows: list[tuple[str, str, str]]) -> None:
    """B against A is A against B with every sign turned, the interval's ends too."""
    ids = names(len(rows))
    a = [sure(right, lead, name=n) for (right, lead, _), n in zip(rows, ids, strict=True)]
    b = [sure(right, lead, name=n) for (right, _, lead), n in zip(rows, ids, strict=True)]
    there, back = compare(a, b), compare(b, a)
    for name, one in there.figures.items():
        other = back.figures[name]
        assert (one.value, one.low, one.high) == pytest.approx(
            (-other.value, -other.high, -other.low), abs=1e-12
        )
    assert [c.id for c in there.mended] == [c.id for c in back.broken]


@given(answers)
@examples(max_examples=10)
def test_a_router_does_not_differ_from_itself(rows: list[tuple[str, str, str]]) -> None:
    """No difference, no interval, no change."""
    a = [sure(right, lead, name=f"q{i}") for i, (right, lead, _) in enumerate(rows)]
    found = compare(a, a)
    assert all((d.value, d.low, d.high) == (0, 0, 0) for d in found.figures.values())
    assert found.mended == found.broken == ()


@pytest.mark.parametrize(
    ("b", "words"),
    [
        ([sure("legal", "legal", name="q0")], "1 questions stand in A only, the first is 'q1'"),
        ([sure("legal", "legal", name=f"q{i}") for i in range(3)], "1 questions stand in B only"),
        (
            [sure("legal", "legal", name="q0"), trial("legal", {"legal": 1}, name="q1")],
            "question 'q1' has one text in A and another in B",
        ),
        (
            [sure("legal", "legal", name="q0"), sure("medical", "legal", name="q1")],
            "question 'q1' belongs to legal (single) in A and to medical (single) in B",
        ),
    ],
)
def test_other_questions_are_refused(b: list[Trial], words: str) -> None:
    """What cannot be compared is told, with the first question that shows it."""
    a = [sure("legal", "legal", name=n) for n in names(2)]
    with pytest.raises(InvalidRequestError) as refused:
        compare(a, b)
    assert words in refused.value.message
