"""Citations of drafts that nobody wrote."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.answering.citation import Citations
from tame_router.answering.roster import Roster
from tame_router.backends.backend import Piece
from tame_router.routing.decision import Join
from tests.answering.join_scripts import Script, plan, play
from tests.answering.test_join_laws import COURSES
from tests.joined_order import check_order, words


def passed(*pieces: str, drafts: int = 2) -> list[str]:
    """Give what comes out after each piece, and at the end."""
    citations = Citations(drafts)
    return [*map(citations.feed, pieces), citations.end()]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("見[1]，又見[3]與[7]。", "見[1]，又見與。"),
        ("a [1, 3] b [2、9、1] c [0]", "a [1] b [2、1] c "),
        ("[1,2] [12] [1234] [x] []", "[1,2]  [1234] [x] []"),
        ("`x[7]` and [7]\n```\ny[8]\n```\n[8].", "`x[7]` and \n```\ny[8]\n```\n."),
        ("open [3", "open [3"),
        ("[[3]] [1[5]", "[] [1"),
        ("a [1-2] b [2\u20139] c [3-9] d [1 ~ 2] e [1至2]", "a [1-2] b [2] c  d [1 ~ 2] e [1至2]"),
        ("[2-1] [9-2] [0-5] [1-] [-2] [1-2-3]", "[2-1] [2] [1-2] [1-] [-2] [1-2-3]"),
        ("[1, 2-5] [7, 1-2、9]", "[1, 2] [1-2]"),
    ],
)
def test_numbers_that_no_draft_has_are_left_out(text: str, left: str) -> None:
    """Others stay as they stand; so do code, and brackets that hold something else."""
    assert "".join(passed(text)) == left


def test_nothing_but_a_bracket_waits() -> None:
    """Words pass at once; what turns out to be no citation follows with the next piece."""
    assert passed("甲", "乙[", "3", "]", "丙 [1", "x") == ["甲", "乙", "", "", "丙 ", "[1x", ""]


@given(st.text("[]0123,、-至 `a甲", max_size=40), st.lists(st.integers(0, 40), max_size=12))
def test_borders_of_pieces_do_not_matter(text: str, cuts: list[int]) -> None:
    """However a text is cut, the same comes out of it."""
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(places)]
    assert "".join(passed(*pieces)) == "".join(passed(text))


@given(st.text("甲乙a `[", max_size=40))
def test_words_without_numbers_are_untouched(text: str) -> None:
    """No character of them is lost."""
    assert "".join(passed(text)) == text


@pytest.mark.parametrize(
    ("writes", "answer"),
    [
        (("見[1]，又見[", "3]與[7", "]。"), "見[1]，又見與。"),
        (("見[2", "][1"), "見[2][1"),
        (("[", "7", "]"), "x"),
        ((" ", "[", "1] y"), " [1] y"),
    ],
)
def test_a_fusion_names_drafts_that_there_are(writes: tuple[str, ...], answer: str) -> None:
    """What is written of others is left out; where nothing else is, the lead's draft stands."""
    draft: Script = ((Piece(text="x"),), False)
    written: Script = (tuple(Piece(text=text) for text in writes), False)
    work = plan(Join.FUSE)
    course = COURSES[Join.FUSE](Roster(work, "en"))
    events = play(course, work, [draft, draft, written], lambda found: found[0])
    check_order(events)
    assert words(events) == answer
