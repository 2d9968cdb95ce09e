"""Drafts that all met a limit before they were finished: what was written by then is used."""

from collections.abc import Callable

import pytest

from tame_router.answering.event import Delta, Event, Note, Part, Tally
from tame_router.answering.happening import Failed
from tame_router.answering.plan import Plan, make_plan
from tame_router.answering.roster import Roster
from tame_router.backends.backend import Piece
from tame_router.chat import FinishReason
from tame_router.config import JoinSettings
from tame_router.errors import (
    BackendSilentError,
    DeadlineExceededError,
    NoExpertAnsweredError,
    TameError,
)
from tame_router.routing.decision import Join
from tests.answering.join_scripts import QUESTION, expert, finish, plan
from tests.answering.test_join_laws import COURSES
from tests.joined_order import words

MADE_FROM_DRAFTS = [Join.FUSE, Join.BEST_OF]
LATE = DeadlineExceededError("late")


def play(
    work: Plan, *how: tuple[str, TameError | None], writes: str = "joined"
) -> tuple[list[Event], Callable[[], FinishReason]]:
    """Have experts write and fail, or end, one after another, and a writer or judge after them."""
    course = COURSES[work.join](Roster(work, "en"))
    told = list(course.begin())
    for index, (text, error) in enumerate(how):
        if text:
            told += course.take(index, Piece(text=text))
        told += course.take(index, finish(f"e{index}") if error is None else Failed(error))
    if course.listening:
        told += course.take(len(how), Piece(text=writes))
        told += course.take(len(how), finish("writer"))
    assert not course.listening
    return [command for command in told if isinstance(command, Event)], course.outcome


def test_all_drafts_cut_are_fused() -> None:
    """The writer has them all, and its end is the answer's."""
    events, outcome = play(plan(Join.FUSE), ("one", LATE), ("two", LATE))
    assert words(events) == "joined"
    assert [e.reason for e in events if isinstance(e, Note)] == ["DEADLINE_EXCEEDED"] * 2
    assert outcome() is FinishReason.STOP


@pytest.mark.parametrize("join", MADE_FROM_DRAFTS)
@pytest.mark.parametrize("other", [LATE, BackendSilentError("no")])
def test_one_draft_cut_is_all_there_is(join: Join, other: TameError) -> None:
    """It is the answer, as one cut short."""
    events, outcome = play(plan(join), ("", other), ("two", LATE))
    assert words(events) == "two"
    assert {e.part for e in events if isinstance(e, Delta)} == {Part.JOINED}
    assert outcome() is FinishReason.LENGTH


@pytest.mark.parametrize("judge", ["", "e0"])
def test_all_drafts_cut_are_ranked(judge: str) -> None:
    """By the judge too; the winner is one cut short."""
    work = plan(Join.BEST_OF, settings=JoinSettings(judge=judge))
    events, outcome = play(work, ("one", LATE), ("two", LATE), writes='{"best": 2}')
    (tally,) = [e for e in events if isinstance(e, Tally)]
    assert words(events) == ("two" if judge else "one")
    assert len(tally.entries) == 2
    assert outcome() is FinishReason.LENGTH


@pytest.mark.parametrize("join", MADE_FROM_DRAFTS)
@pytest.mark.parametrize("text", ["", " "])
def test_nothing_written_is_still_an_error(join: Join, text: str) -> None:
    """Limits that everybody met with no words have nothing to be used."""
    _, outcome = play(plan(join), (text, LATE), (text, LATE))
    with pytest.raises(DeadlineExceededError, match=r"late|draft_timeout_s"):
        outcome()


def test_the_operators_limit_has_its_own_words() -> None:
    """Where the caller set no deadline it is not told of one, nor to allow more time."""
    work = plan(Join.FUSE, settings=JoinSettings(draft_timeout_s=7))
    _, outcome = play(work, ("", LATE), ("", LATE))
    with pytest.raises(DeadlineExceededError, match=r"7 s .*\(joins.draft_timeout_s\)"):
        outcome()
    _, mixed = play(work, ("", BackendSilentError("no", retry_after_s=1)), ("", LATE))
    with pytest.raises(NoExpertAnsweredError) as caught:
        mixed()
    assert caught.value.message.endswith("); try again")


@pytest.mark.parametrize(
    ("join", "left_s", "limit"),
    [
        (Join.FUSE, None, 7.0),
        (Join.FUSE, 20.0, 7.0),
        (Join.FUSE, 10.0, None),
        (Join.BEST_OF, None, None),
    ],
)
def test_whose_limit_a_draft_has(join: Join, left_s: float | None, limit: float | None) -> None:
    """The operator's counts in a fusion where it is the shorter one."""
    work = make_plan(
        join,
        [(expert("e0"), 0.6), (expert("e1"), 0.4)],
        expert("writer"),
        QUESTION,
        JoinSettings(draft_timeout_s=7),
        left_s=left_s,
    )
    assert {step.draft_timeout_s for step in work.steps} == {limit}
