"""What one answer is worth."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.catalog.evaluation import TextCase
from tame_router.registry.gate.case_score import normalise, score_choice, score_text

CASE = TextCase(
    id="t",
    lang="en",
    kind="text",
    question="?",
    reference="!",
    required=("Deposit", "notice"),
    forbidden=("fine",),
)


@given(st.lists(st.floats(-50, 0), min_size=2, max_size=8), st.data())
def test_a_choice_is_worth_its_probability(values: list[float], data: st.DataObject) -> None:
    """Scores of all choices sum to one, and the likeliest passes."""
    scores = [score_choice(answer, values) for answer in range(len(values))]
    assert sum(score.score or 0 for score in scores) == pytest.approx(1)
    assert scores[values.index(max(values))].passed


def test_nearly_as_likely_is_right() -> None:
    """What differs by no more than an engine's rounding passes; what differs by more does not."""
    assert score_choice(1, [-1.0, -1.01]).passed
    assert not score_choice(1, [-1.0, -1.2]).passed


def test_impossible_choices_are_worth_nothing() -> None:
    """No choice that has any probability: nothing is right."""
    score = score_choice(0, [-math.inf, -math.inf])
    assert (score.score, score.passed) == (0.0, False)


@pytest.mark.parametrize(
    ("text", "worth", "passed"),
    [
        ("Ask for the DEPOSIT and pay in place of ｎｏｔｉｃｅ.", 1.0, True),
        ("Ask for the deposit.", 0.5, False),
        ("A deposit, notice, and a fine.", 0.0, False),
        ("", 0.0, False),
    ],
)
def test_facts_make_the_score(text: str, worth: float, passed: bool) -> None:
    """The share of required facts counts, in any capitals and width; a forbidden one voids it."""
    score = score_text(CASE, text, 1.0, None)
    assert (score.score, score.passed) == (worth, passed)


def test_without_facts_any_words_pass() -> None:
    """A case that requires nothing is failed by silence alone."""
    case = TextCase(id="t", lang="en", kind="text", question="?", reference="!")
    assert score_text(case, "Words.", 1.0, None).passed
    assert not score_text(case, " \n", 1.0, None).passed


def test_simplified_characters_are_counted() -> None:
    """Those that only Simplified Chinese uses count, of all that was written."""
    score = score_text(CASE, "押金应notice", 1.0, 0.1)
    assert (score.simplified, score.characters, score.token_s) == (1, 9, 0.1)


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    """White space counts as one blank, and none at the ends."""
    once = normalise(text)
    assert once == " ".join(once.split())
