"""What earlier turns say about the last one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.routing.conversation import Turn, believe, reliance, weight
from tame_router.routing.wording import read_wording

EVEN = (1 / 3, 1 / 3, 1 / 3)
FIRST = (0.94, 0.03, 0.03)
SECOND = (0.03, 0.94, 0.03)
LEANING_SECOND = (0.25, 0.5, 0.25)

rows = st.lists(st.floats(0.0001, 1), min_size=3, max_size=3).map(
    lambda values: tuple(v / sum(values) for v in values)
)


def turn(text: str, probabilities: tuple[float, ...], *, several: bool = False) -> Turn:
    """Make a turn whose relevances are its probabilities."""
    row = np.array(probabilities, dtype=np.float32)
    return Turn(text=text, probabilities=row, relevances=row, several=several)


@given(rows, st.text())
def test_one_turn_is_what_the_classifier_says(row: tuple[float, ...], text: str) -> None:
    """Without a turn before it, a turn is left as it is."""
    assert believe([turn(text, row)]).probabilities == pytest.approx(row, abs=1e-6)


@given(st.lists(st.tuples(st.text(), rows), min_size=1, max_size=5))
def test_belief_is_a_distribution(said: list[tuple[str, tuple[float, ...]]]) -> None:
    """Any turns give finite probabilities that sum to 1."""
    belief = believe([turn(text, row) for text, row in said]).probabilities
    assert np.isfinite(belief).all()
    assert belief.sum() == pytest.approx(1)


@given(st.text(), st.floats(0, 1))
def test_no_turn_leans_wholly(text: str, doubt: float) -> None:
    """Every turn keeps less than all of what was before, and adds something of its own."""
    wording = read_wording(text)
    assert 0 <= reliance(wording, doubt) < 1
    assert 0 < weight(wording, vague=True) <= weight(wording, vague=False) <= 1


@given(
    st.sampled_from(["為什麼", "那電阻呢", "示波器的頻寬要怎麼選"]),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_doubt_makes_a_turn_lean_more(text: str, one: float, other: float) -> None:
    """The less sure the classifier is, the more of the belief before is kept."""
    wording = read_wording(text)
    low, high = sorted((one, other))
    assert reliance(wording, low) <= reliance(wording, high)


@pytest.mark.parametrize(
    "text",
    [
        "那罰則呢？",
        "那多久要換一次？",
        "為什麼？",
        "它要怎麼設定",
        "可以再說詳細一點嗎",
        "and what about the deadline?",
        "Why?",
        "how long does it take",
        "what's that?",
        "ok but can it be repaired?",
        "what about the second one",
    ],
)
@pytest.mark.parametrize("alone", [EVEN, LEANING_SECOND])
def test_a_turn_that_cannot_stand_alone_stays(text: str, alone: tuple[float, ...]) -> None:
    """A follow-up keeps the subject before it, even where its words lean elsewhere a little."""
    belief = believe(
        [turn("雇主積欠加班費要去哪裡申訴才有用", FIRST), turn(text, alone)]
    ).probabilities
    assert belief.argmax() == 0
    assert belief[0] > 0.5


@pytest.mark.parametrize(
    "text",
    [
        "戚風蛋糕脫模的時候一直沾黏該怎麼辦",
        "另外想問一下戚風蛋糕為什麼脫模會沾黏",
        "那烤箱要幾度",
        "Why does my sponge cake sink in the middle after baking?",
        "and how do I whip cream without splitting it",
    ],
)
def test_a_change_of_subject_moves(text: str) -> None:
    """A turn with a subject of its own decides, however it opens."""
    belief = believe(
        [turn("雇主積欠加班費要去哪裡申訴才有用", FIRST), turn(text, SECOND)]
    ).probabilities
    assert belief.argmax() == 1
    assert belief[1] > 0.6


@pytest.mark.parametrize("text", ["為什麼？", "可以再說詳細一點嗎", "how long does that take?"])
def test_an_opinion_on_a_turn_without_subject_hardly_counts(text: str) -> None:
    """Words that belong to no subject stay, whatever the classifier makes of them."""
    belief = believe(
        [turn("雇主積欠加班費要去哪裡申訴才有用", FIRST), turn(text, SECOND)]
    ).probabilities
    assert belief[0] > 0.8


def test_a_fragment_of_no_domain_stays() -> None:
    """Where the fallback is the most probable, a fragment is taken for a follow-up."""
    said = [turn("雇主積欠加班費要去哪裡申訴才有用", FIRST), turn("期限是多久？", SECOND)]
    assert believe(said, fallback=1).probabilities.argmax() == 0
    assert believe(said).probabilities.argmax() == 1


def test_a_chain_of_follow_ups_stays() -> None:
    """What one follow-up inherited, the next inherits from it."""
    said = [turn("雇主積欠加班費要去哪裡申訴", FIRST)]
    said += [turn("那罰則呢？", EVEN), turn("為什麼？", EVEN)]
    assert believe(said).probabilities[0] > 0.6


def test_a_moved_subject_is_forgotten() -> None:
    """After a change of subject a follow-up stays with the new one."""
    said = [
        turn("雇主積欠加班費要去哪裡申訴", FIRST),
        turn("戚風蛋糕脫模的時候一直沾黏該怎麼辦", SECOND),
        turn("為什麼？", EVEN),
    ]
    assert believe(said).probabilities.argmax() == 1


def test_a_whole_question_of_an_unknown_subject_is_not_drawn_in() -> None:
    """A long question that the classifier can make nothing of stays undecided."""
    long = "我家社區的游泳池下個月要重新開放，想知道報名時間和費用，還有早上幾點開始可以進去"
    belief = believe([turn("雇主積欠加班費要去哪裡申訴", FIRST), turn(long, EVEN)]).probabilities
    assert belief.max() < 0.5


@given(st.lists(st.tuples(st.text(), rows, st.booleans()), min_size=1, max_size=5))
def test_relevances_stay_in_their_range(
    said: list[tuple[str, tuple[float, ...], bool]],
) -> None:
    """Any turns give relevances between the least and the most that a turn had."""
    belief = believe([turn(text, row, several=several) for text, row, several in said])
    seen = np.array([row for _, row, _ in said], dtype=np.float32)
    assert (belief.relevances >= seen.min(axis=0) - 1e-6).all()
    assert (belief.relevances <= seen.max(axis=0) + 1e-6).all()
    assert not belief.several or any(several for _, _, several in said)


BOTH = (0.6, 0.3, 0.1)


def test_a_follow_up_needs_the_experts_of_the_question_before_it() -> None:
    """A turn that leans on a question for two is one for the same two."""
    question = turn("手術失敗可以告醫院嗎", BOTH, several=True)
    belief = believe([question, turn("為什麼？", EVEN)])
    assert belief.several
    assert belief.relevances == pytest.approx(BOTH, abs=0.05)


def test_a_new_subject_needs_no_expert_of_the_one_before_it() -> None:
    """A turn that stands alone is judged alone."""
    said = [
        turn("手術失敗可以告醫院嗎", BOTH, several=True),
        turn("戚風蛋糕脫模的時候一直沾黏該怎麼辦", SECOND),
    ]
    assert not believe(said).several
    assert believe(said).relevances == pytest.approx(SECOND, abs=0.05)


def test_the_last_turn_alone_may_need_several() -> None:
    """A turn for two experts is one whatever was said before it."""
    said = [turn("雇主積欠加班費要去哪裡申訴", FIRST), turn("為什麼？", EVEN, several=True)]
    assert believe(said).several
