"""Feedback is kept as it was said, once, and decided on once."""

from pathlib import Path

import pytest

from tame_router.config import StoreSettings
from tame_router.feedback.feedback import State
from tests.feedback.given import LATER, NOON, kept, said


def test_feedback_comes_back_as_it_was_said(tmp_path: Path, store_settings: StoreSettings) -> None:
    """Every field is kept, also by the next process."""
    first = said(comment="錯了\n😀 'quoted' %s", question="酵母？", request_id="request-1")
    with kept(tmp_path, store_settings) as store:
        assert store.add(first) == first
    with kept(tmp_path, store_settings) as store:
        assert store.get(first.feedback_id) == first
        assert store.get("nobody") is None


def test_a_submission_is_kept_once(tmp_path: Path, store_settings: StoreSettings) -> None:
    """The same request id gives what was kept first; without one each is kept."""
    with kept(tmp_path, store_settings) as store:
        first = store.add(said(feedback_id="a", request_id="request-1"))
        again = store.add(said(feedback_id="b", request_id="request-1", create_time=LATER))
        assert again == first
        store.add(said(feedback_id="c"))
        store.add(said(feedback_id="d"))
        assert [feedback.feedback_id for feedback in store.pending()] == ["a", "c", "d"]


def test_the_oldest_is_listed_first(tmp_path: Path, store_settings: StoreSettings) -> None:
    """Pending feedback is in order of its time."""
    with kept(tmp_path, store_settings) as store:
        store.add(said(feedback_id="a", create_time=LATER))
        store.add(said(feedback_id="b", create_time=NOON))
        assert [feedback.feedback_id for feedback in store.pending()] == ["b", "a"]


@pytest.mark.parametrize("state", [State.APPROVED, State.REJECTED])
def test_a_decision_is_made_once(
    tmp_path: Path, store_settings: StoreSettings, state: State
) -> None:
    """What was decided keeps its time, and can be decided on no more."""
    with kept(tmp_path, store_settings) as store:
        store.add(said(feedback_id="a"))
        with store.deciding("a", state, LATER) as decided:
            assert decided == said(feedback_id="a", state=state, review_time=LATER)
        for feedback_id in ("a", "nobody"):
            with store.deciding(feedback_id, State.REJECTED, NOON) as none:
                assert none is None
        assert store.get("a") == decided
        assert store.pending() == []


def test_a_decision_that_fails_is_none(tmp_path: Path, store_settings: StoreSettings) -> None:
    """When what belongs to it fails, the feedback is pending as before."""
    with kept(tmp_path, store_settings) as store:
        store.add(said(feedback_id="a"))
        with pytest.raises(ZeroDivisionError), store.deciding("a", State.APPROVED, LATER):
            raise ZeroDivisionError
        assert store.pending() == [said(feedback_id="a")]


def test_words_do_not_stand_in_a_feedbacks_picture() -> None:
    """A `repr` in a log or a traceback shows neither question nor comment."""
    shown = repr(said(comment="祕密", question="隱私"))
    assert "祕密" not in shown
    assert "隱私" not in shown
