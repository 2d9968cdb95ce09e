"""The judge of the best draft: what it reads, and what counts of what it writes."""

import pytest

from tame_router.answering.best_of import read_verdict
from tame_router.answering.event import Delta, ExpertFinish, Note, Part, Tally
from tame_router.answering.happening import Ask, Command, Failed, Stop
from tame_router.answering.plan import JUDGE_CHARS
from tame_router.answering.roster import Roster
from tame_router.backends.backend import Piece
from tame_router.chat import ToolCallDelta
from tame_router.config import JoinSettings
from tame_router.errors import BackendSilentError
from tame_router.routing.decision import Join
from tests.answering.join_scripts import finish, plan
from tests.answering.test_join_laws import COURSES
from tests.joined_order import words

JUDGED = plan(Join.BEST_OF, settings=JoinSettings(judge="e0"), writer="e0")
SURE = b'[{"token":"x","logprob":-0.1}]'
UNSURE = b'[{"token":"x","logprob":-4.0}]'
BABBLE = Piece(text="嗯" * (JUDGE_CHARS // 2 + 1))


@pytest.mark.parametrize(
    ("verdict", "best"),
    [
        ('{"best": 2}', 2),
        (' {"best":1}\n', 1),
        ('{"best": 0}', None),
        ('{"best": 3}', None),
        ('{"best": true}', None),
        ('{"best": "1"}', None),
        ('{"best": 1.0}', None),
        ('{"best": 1', None),
        ("[1]", None),
        ("1", None),
        ("", None),
        ("the first", None),
    ],
)
def test_a_verdict_is_the_number_of_a_draft(verdict: str, best: int | None) -> None:
    """In JSON, as it was asked for; nothing else counts."""
    assert read_verdict(verdict, 2) == best


@pytest.mark.parametrize(
    ("writes", "reason"),
    [
        ([Piece(text="the first"), finish("e0")], "UNREADABLE"),
        ([finish("e0")], "UNREADABLE"),
        ([Failed(BackendSilentError("no"))], "BACKEND_SILENT"),
        ([Piece(text='{"be'), Failed(BackendSilentError("no"))], "BACKEND_SILENT"),
        ([BABBLE, BABBLE], "TOO_LONG"),
    ],
)
def test_without_a_verdict_probabilities_rank(writes: list[Piece | Failed], reason: str) -> None:
    """They are asked for though there is a judge; who wrote on and on is stopped."""
    assert {step.shape.top_logprobs for step in JUDGED.steps} == {0}
    course = COURSES[Join.BEST_OF](Roster(JUDGED, "en"))
    told: list[Command] = list(course.begin())
    for index, logprobs in enumerate((UNSURE, SURE)):
        told += course.take(index, Piece(text=f"draft {index}", logprobs=logprobs))
        told += course.take(index, finish(f"e{index}"))
    for happening in writes:
        assert list(course.listening) == [2]
        told += course.take(2, happening)
    assert not course.listening
    (note,) = [e for e in told if isinstance(e, Note)]
    assert (note.expert, note.part, note.reason) == ("e0", Part.JUDGE, reason)
    assert [c.index for c in told if isinstance(c, Stop)] == ([2] if reason == "TOO_LONG" else [])
    (tally,) = [e for e in told if isinstance(e, Tally)]
    assert tally.expert == "e1"
    assert [round(entry.weight, 2) for entry in tally.entries] == [0.9, 0.02]
    assert words([e for e in told if isinstance(e, Delta)]) == "draft 1"
    ends = [e for e in told if isinstance(e, ExpertFinish) and e.part is Part.JUDGE]
    assert len(ends) == (reason == "UNREADABLE")


def test_a_judge_reads_calls_too() -> None:
    """A draft that only wants something called is not blank to it."""
    course = COURSES[Join.BEST_OF](Roster(JUDGED, "en"))
    told: list[Command] = []
    for index, city in enumerate(("Taipei", "Tainan")):
        call = ToolCallDelta(index=0, id="1", name="weather", arguments=f'{{"city": "{city}"}}')
        told += course.take(index, Piece(text="", tool_calls=(call,)))
        told += course.take(index, finish(f"e{index}"))
    (asked,) = [c for c in told if isinstance(c, Ask)]
    assert asked.step.messages is not None
    read = asked.step.messages[-1].content
    assert '> [["weather", {"city": "Taipei"}]]' in read
    assert '> [["weather", {"city": "Tainan"}]]' in read
    assert not [e for e in told if isinstance(e, Tally)]


def test_a_judge_is_not_asked_about_nothing() -> None:
    """Where all drafts are blank there is nothing to choose."""
    course = COURSES[Join.BEST_OF](Roster(JUDGED, "en"))
    told = [command for index in (0, 1) for command in course.take(index, finish(f"e{index}"))]
    assert not [c for c in told if isinstance(c, Ask)]
    assert not course.listening
