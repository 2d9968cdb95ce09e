"""What holds for every join, whatever experts write, in whatever order it is heard."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.answering.best_of import BestOf
from tame_router.answering.event import Delta, DraftDelta, ExpertStart, Note, Part
from tame_router.answering.fuse import Fuse
from tame_router.answering.happening import JoinCourse
from tame_router.answering.panel import Panel
from tame_router.answering.plan import Plan
from tame_router.answering.roster import Roster
from tame_router.answering.second_opinion import SecondOpinion
from tame_router.answering.vote import Vote
from tame_router.backends.backend import Piece
from tame_router.config import JoinSettings
from tame_router.errors import TameError
from tame_router.routing.decision import Constraints, Join, Order
from tests.answering.join_scripts import QUESTION, Script, plan, play
from tests.joined_order import check_order

COURSES: dict[Join, Callable[[Roster], JoinCourse]] = {
    Join.PANEL: Panel,
    Join.SECOND_OPINION: lambda roster: SecondOpinion(roster, QUESTION.messages),
    Join.FUSE: lambda roster: Fuse(roster, QUESTION.messages),
    Join.VOTE: Vote,
    Join.BEST_OF: lambda roster: BestOf(roster, QUESTION.messages),
}
PIECES = st.lists(
    st.text("abc甲乙 ", min_size=1, max_size=4).map(lambda t: Piece(text=t)), max_size=5
)
SCRIPTS: st.SearchStrategy[Script] = st.tuples(PIECES.map(tuple), st.booleans())


def planned(join: Join, count: int, order: Order, *, judge: str, writer: str = "writer") -> Plan:
    """Plan an answer of some experts; who writes or judges may be one of them."""
    return plan(
        join,
        [0.5 / (n + 1) for n in range(count)],
        Constraints(join=join, order=order, drafts=True),
        JoinSettings(judge=judge),
        writer,
    )


@pytest.mark.parametrize("join", list(COURSES))
@given(
    data=st.data(),
    scripts=st.lists(SCRIPTS, min_size=3, max_size=5),
    order=st.sampled_from(Order),
    judge=st.sampled_from(["", "e0"]),
    writer=st.sampled_from(["writer", "e0", "e1"]),
    language=st.sampled_from(["en", "zh-TW"]),
)
def test_laws_of_joins(
    join: Join,
    data: st.DataObject,
    scripts: list[Script],
    order: Order,
    judge: str,
    writer: str,
    language: str,
) -> None:
    """Events keep their order, and no word is lost, repeated, reordered or of two origins.

    Who writes or judges may be told under an expert's name. Or nobody finished, and the error
    has everyone's reason.
    """
    count = len(scripts) - 1
    work = planned(join, count, order, judge=judge, writer=writer)
    course = COURSES[join](Roster(work, language))

    def pick(found: list[int]) -> int:
        return data.draw(st.sampled_from(found))

    if all(fails for _, fails in scripts[:count]):
        with pytest.raises(TameError) as raised:
            play(course, work, scripts, pick)
        assert set(raised.value.metadata) == {f"expert.e{n}" for n in range(count)}
        return
    events = play(course, work, scripts, pick)
    check_order(events)
    whole = {f"e{n}": text_of(script) for n, script in enumerate(scripts[:count])}
    written = text_of(scripts[-1])
    for name, part in {(e.expert, e.part) for e in events if isinstance(e, Delta)}:
        said = "".join(
            e.text for e in events if isinstance(e, Delta) and (e.expert, e.part) == (name, part)
        )
        own = {whole[name]} if name in whole else set()
        assert part is Part.LABEL or said in own | ({written} if name == writer else set())
    cut = {e.expert for e in events if isinstance(e, Note) and e.reason == "NOT_WAITED_FOR"}
    starts = {e.expert for e in events if isinstance(e, ExpertStart) and e.part is Part.DRAFT}
    for name in starts:
        shown = "".join(e.text for e in events if isinstance(e, DraftDelta) and e.expert == name)
        assert whole[name].startswith(shown)
        assert name in cut or shown == whole[name]


def text_of(script: Script) -> str:
    """Give all that an expert writes."""
    return "".join(piece.text for piece in script[0])


@pytest.mark.parametrize("join", list(COURSES))
def test_everyone_is_asked_as_planned(join: Join) -> None:
    """The plan's steps start in the order of selection, the lead first."""
    work = planned(join, 3, Order.LEAD_FIRST, judge="")
    course = COURSES[join](Roster(work, "en"))
    script: Script = ((Piece(text="x"),), False)
    events = play(course, work, [script] * 4, lambda found: found[0])
    starts = [e.expert for e in events if isinstance(e, ExpertStart)]
    assert starts[:3] == ["e0", "e1", "e2"]
