"""Who writes nothing but white space among others: the words that there are make the answer."""

from collections.abc import Sequence

import pytest

from tame_router.answering.event import Delta, Event, Final, Part, Tally
from tame_router.answering.roster import Roster
from tame_router.backends.backend import Piece
from tame_router.chat import FinishReason
from tame_router.routing.decision import Join
from tests.answering.join_scripts import Script, plan, play
from tests.answering.test_join_laws import COURSES
from tests.joined_order import check_order, words

BLANK: Script = ((Piece(text=" "), Piece(text="\n")), False)
WORDS: Script = ((Piece(text=" "), Piece(text="cool "), Piece(text="it")), False)
CUT: Script = (WORDS[0], True)
REFERENCES = "\n\n[1] E0\n[2] E1"
JOINED = [join for join in COURSES if join is not Join.PANEL]


def answer(join: Join, scripts: Sequence[Script]) -> list[Event]:
    """Play experts, one after another, and a writer; the last script is the writer's."""
    work = plan(join, [0.5] * (len(scripts) - 1))
    events = play(COURSES[join](Roster(work, "en")), work, scripts, lambda found: found[0])
    check_order(events)
    return events


def end(events: Sequence[Event]) -> FinishReason:
    """Give why an answer ended."""
    final = events[-1]
    assert isinstance(final, Final)
    return final.finish_reason


@pytest.mark.parametrize("join", JOINED)
def test_words_of_another_stand_though_they_broke_off(join: Join) -> None:
    """Where the lead finishes blank, what the other wrote is the answer, as one cut short."""
    events = answer(join, [BLANK, CUT, WORDS])
    assert words(events).strip() == "cool it"
    assert end(events) is FinishReason.LENGTH
    assert {e.expert for e in events if isinstance(e, Tally)} <= {"e1"}


@pytest.mark.parametrize("join", JOINED)
def test_whole_words_of_another_are_the_answer(join: Join) -> None:
    """A blank lead wins nothing, and an answer that is whole is no cut one."""
    events = answer(join, [BLANK, CUT, WORDS, BLANK])
    given = [e.expert for e in events if isinstance(e, Delta) and e.text.strip()]
    assert set(given) == {"e2"}
    assert "cool it" in words(events)
    assert end(events) is FinishReason.STOP


@pytest.mark.parametrize("join", JOINED)
def test_nobody_says_anything(join: Join) -> None:
    """Then the answer is blank, and its end is the experts'."""
    events = answer(join, [BLANK, BLANK, WORDS])
    assert not words(events, labels=True).strip()
    assert end(events) is FinishReason.STOP


def test_a_blank_fusion_is_the_leads_draft() -> None:
    """Without references; and its end is that draft's."""
    events = answer(Join.FUSE, [WORDS, WORDS, BLANK])
    assert words(events, labels=True) == " cool it"
    assert {e.expert for e in events if isinstance(e, Delta)} == {"e0"}


def test_white_space_before_words_of_a_fusion_is_kept() -> None:
    """It waits for them, and comes with them as one piece."""
    events = answer(Join.FUSE, [WORDS, WORDS, WORDS])
    assert words(events, labels=True) == " cool it" + REFERENCES
    joined = [e.text for e in events if isinstance(e, Delta) and e.part is Part.JOINED]
    assert joined == [" cool ", "it"]


def test_a_quorum_is_of_drafts_that_say_something() -> None:
    """Nobody is stopped for the sake of two blank drafts."""
    events = answer(Join.FUSE, [BLANK, BLANK, WORDS, BLANK])
    assert words(events, labels=True) == " cool it"
    assert end(events) is FinishReason.STOP


def test_a_blank_opinion_has_no_heading() -> None:
    """The lead's words stand alone."""
    events = answer(Join.SECOND_OPINION, [WORDS, WORDS, BLANK])
    assert words(events, labels=True) == " cool it"


def test_an_opinions_heading_names_whose_words_were_used() -> None:
    """Not those of an expert that wrote nothing, nor those that broke off."""
    events = answer(Join.SECOND_OPINION, [WORDS, BLANK, WORDS, CUT, WORDS])
    labels = [e.text for e in events if isinstance(e, Delta) and e.part is Part.LABEL]
    assert labels == ["\n\n[In addition: E2]\n"]
    assert words(events) == " cool it cool it"
