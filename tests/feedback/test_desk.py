"""A person decides, and what was approved is written once."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tame_router.errors import ConfigError
from tame_router.feedback.desk import Desk, Outcome, Result
from tame_router.feedback.feedback import State
from tame_router.feedback.store import FeedbackStore
from tame_router.teaching.corpus import load_corpus
from tame_router.teaching.utterance_file import append_utterance
from tests.feedback.given import LATER, NOON, kept, said

QUESTION = "貝果要先水煮多久"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    """Give an empty store."""
    with kept(tmp_path / "state") as store:
        yield store


@pytest.fixture
def desk(store: FeedbackStore, folders: Mapping[str, Path]) -> Desk:
    """Give a desk with that store and the school's experts."""
    return Desk(store, folders)


def chinese(folders: Mapping[str, Path]) -> Path:
    """Give baking's Chinese lines."""
    return folders["baking"] / "utterances.zh-TW.txt"


def test_what_is_approved_is_taught(
    desk: Desk, store: FeedbackStore, folders: Mapping[str, Path]
) -> None:
    """The question becomes the last line of its language, and the approval keeps its time."""
    before = chinese(folders).read_text()
    store.add(said(feedback_id="a", question=QUESTION))
    outcome = desk.approve("a", LATER)
    assert outcome.done
    assert outcome.message == f"added to {chinese(folders)}: {QUESTION}"
    assert chinese(folders).read_text() == f"{before}{QUESTION}\n"
    assert load_corpus(folders).utterances
    found = store.get("a")
    assert found
    assert (found.state, found.review_time) == (State.APPROVED, LATER)
    assert desk.pending() == []


def test_what_is_rejected_teaches_nothing(
    desk: Desk, store: FeedbackStore, folders: Mapping[str, Path]
) -> None:
    """No file is touched, and the decision is kept."""
    before = chinese(folders).read_text()
    store.add(said(feedback_id="a", question=QUESTION))
    assert desk.reject("a", LATER).done
    assert chinese(folders).read_text() == before
    assert desk.pending() == []


def test_what_cannot_be_a_line_stays_pending(desk: Desk, store: FeedbackStore) -> None:
    """Approving it says why not, and it can still be rejected."""
    store.add(said(feedback_id="a"))
    refused = desk.approve("a", LATER)
    assert (refused.result, refused.done) == (Result.REFUSED, False)
    assert refused.message.startswith("NO_QUESTION: ")
    assert [feedback.feedback_id for feedback in desk.pending()] == ["a"]
    assert desk.reject("a", LATER).result is Result.REJECTED


def test_nothing_is_decided_twice(desk: Desk, store: FeedbackStore) -> None:
    """The second decision is told the first, and an id that is none is said so."""
    store.add(said(feedback_id="a", question=QUESTION))
    desk.reject("a", LATER)
    for decide in (desk.approve, desk.reject):
        assert decide("a", NOON) == Outcome(
            feedback_id="a",
            result=Result.DECIDED_BEFORE,
            message="was rejected 2026-11-24T13:00:00+00:00",
        )
        assert decide("b", NOON).result is Result.UNKNOWN


def test_a_crash_after_the_line_writes_it_once(
    desk: Desk, store: FeedbackStore, folders: Mapping[str, Path]
) -> None:
    """The feedback is pending again; approving it notes the approval and adds no second line."""
    store.add(said(feedback_id="a", question=QUESTION))
    with pytest.raises(ZeroDivisionError), store.deciding("a", State.APPROVED, NOON):
        _write_and_die(chinese(folders))
    assert [feedback.feedback_id for feedback in desk.pending()] == ["a"]
    outcome = desk.approve("a", LATER)
    assert outcome.done
    assert outcome.message.startswith("stands already in ")
    assert chinese(folders).read_text().count(QUESTION) == 1


def _write_and_die(path: Path) -> None:
    append_utterance(path, QUESTION)
    raise ZeroDivisionError


def test_two_who_asked_the_same_teach_one_line(
    desk: Desk, store: FeedbackStore, folders: Mapping[str, Path]
) -> None:
    """The second is approved too, and refers to the line of the first."""
    for feedback_id in ("a", "b"):
        store.add(said(feedback_id=feedback_id, question=QUESTION))
    assert desk.approve("a", LATER).message.startswith("added to ")
    assert desk.approve("b", LATER).message.startswith("stands already in ")
    assert chinese(folders).read_text().count(QUESTION) == 1


def test_a_file_that_cannot_be_written_leaves_it_pending(
    desk: Desk, store: FeedbackStore, folders: Mapping[str, Path], tmp_path: Path
) -> None:
    """The file is told, with what the system said, and nothing is noted."""
    chinese(folders).unlink()
    chinese(folders).symlink_to(tmp_path / "nowhere" / "lines.txt")
    store.add(said(feedback_id="a", question=QUESTION))
    with pytest.raises(ConfigError, match=r"utterances\.zh-TW\.txt cannot be written: No such"):
        desk.approve("a", LATER)
    assert [feedback.feedback_id for feedback in desk.pending()] == ["a"]
