"""Scoring answers to two-domain questions: pure, so every law can be written down."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.join_table import TWICE, document, markdown, pages
from bench.join_ways import FIRST, SECOND
from bench.pair_question import Fact, PairQuestion
from bench.pair_score import Reply, gain, mark, together, weigh


def question(number: int) -> PairQuestion:
    """Give a question with two facts for law and one for medicine."""
    return PairQuestion(
        id=f"q{number}",
        lang="en" if number % 2 else "zh-TW",
        kind="pair",
        domains=("legal", "medical"),
        question="?",
        facts={
            "legal": (
                Fact(fact="two years", any=("two years",)),
                Fact(fact="court", any=("court",)),
            ),
            "medical": (Fact(fact="cool it", any=("cool", "water")),),
        },
    )


QUESTIONS = {q.id: q for q in map(question, range(4))}
TEXTS = ("", "two years", "court and water", "cool water", "two years, court, water")


def reply(way: str, text: str, number: int = 0, *experts: str) -> Reply:
    """Give a reply that cost ten tokens and a second."""
    return Reply(
        way=way,
        question=f"q{number}",
        experts=experts,
        text=text,
        prompt_tokens=20,
        completion_tokens=10,
        elapsed_s=1.0,
    )


def test_the_leads_side_is_that_of_the_expert_who_led() -> None:
    """Whoever leads, its own facts are counted first; the base model counts as the first domain."""
    said = "court, and cool water"
    assert mark(QUESTIONS["q0"], reply("x", said, 0, "legal")).lead == (False, True)
    assert mark(QUESTIONS["q0"], reply("x", said, 0, "medical", "legal")).lead == (True,)
    assert mark(QUESTIONS["q0"], reply("x", said)).other == (True,)


@given(first=st.sampled_from(TEXTS), second=st.sampled_from(TEXTS))
def test_asking_both_finds_what_either_finds(first: str, second: str) -> None:
    """Two answers together bring exactly the facts of the one and of the other."""
    one, two = reply(FIRST, first, 0, "legal"), reply(SECOND, second, 0, "medical")
    both = together(TWICE, one, two)
    marks = mark(QUESTIONS["q0"], both)
    alone = mark(QUESTIONS["q0"], one)
    turned = mark(QUESTIONS["q0"], two)
    assert marks.lead == tuple(a or b for a, b in zip(alone.lead, turned.other, strict=True))
    assert marks.other == tuple(a or b for a, b in zip(alone.other, turned.lead, strict=True))
    assert (both.completion_tokens, both.elapsed_s) == (20, 2.0)


def test_figures_are_means_over_questions() -> None:
    """Shares, tokens and seconds are averaged, and a failure brings no fact."""
    replies = [
        reply("x", "two years, court, water", 0, "legal", "medical"),
        replace(reply("x", "", 1), fault="UNAVAILABLE: gone", completion_tokens=0),
    ]
    figures = weigh(QUESTIONS, replies)
    assert (figures.asked, figures.failed) == (2, 1)
    assert figures.facts.value == pytest.approx(0.5)
    assert figures.facts.low <= figures.facts.value <= figures.facts.high
    assert (figures.lead, figures.other, figures.both) == (0.5, 0.5, 0.5)
    assert (figures.experts, figures.completion_tokens, figures.elapsed_s) == (1, 5, 1)


def test_a_gain_compares_each_question_with_itself() -> None:
    """Only questions that both ways were asked count; a way gains nothing over itself."""
    before = [reply("a", "", n) for n in range(4)]
    after = [reply("b", "cool", n) for n in range(2)]
    gained = gain(QUESTIONS, before, after)
    assert gained is not None
    assert gained.questions == 2
    assert gained.value == pytest.approx(1 / 3)
    same = gain(QUESTIONS, before, before)
    assert same is not None
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert gain(QUESTIONS, before, []) is None


def test_the_tables_hold_every_group_and_the_two_answers_together() -> None:
    """All, both languages and the pair have their figures, with a row for asking both."""
    replies = [
        made
        for n in range(4)
        for made in (reply(FIRST, "court", n, "legal"), reply(SECOND, "water", n, "medical"))
    ]
    found = document(list(QUESTIONS.values()), replies)
    assert list(found["groups"]) == ["all", "zh-TW", "en", "legal+medical"]
    assert list(found["groups"]["all"]) == [FIRST, SECOND, TWICE]
    assert found["groups"]["all"][TWICE]["both"] == 1.0
    assert found["gains"]["all"][TWICE]["value"] == pytest.approx(1 / 3, abs=1e-3)
    drawn = markdown(found)
    assert "### legal+medical" in drawn
    assert f"| {TWICE} | 4 | 0 | 66.7% (66.7% – 66.7%) | +33.3% (+33.3% – +33.3%) |" in drawn


def test_answers_can_be_read_beside_the_checklist() -> None:
    """The page ticks what was found, quotes the whole answer, and shows a fault in its place."""
    shown = pages(
        [QUESTIONS["q0"]],
        [
            reply(FIRST, "go to\ncourt", 0, "legal"),
            replace(reply("join x", ""), fault="ABORTED: no"),
        ],
    )
    assert "> go to\n> court\n\n- [ ] legal: two years\n- [x] legal: court" in shown
    assert "### join x (base model)\n\n> ABORTED: no" in shown
