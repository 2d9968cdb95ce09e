"""What the error says when no expert has answered."""

import pytest

from tame_router.answering.draft import Draft
from tame_router.answering.happening import Failed
from tame_router.answering.roster import TOO_LONG, Roster
from tame_router.backends.backend import Piece
from tame_router.config import JoinSettings
from tame_router.errors import (
    BackendFailedError,
    BackendSilentError,
    DeadlineExceededError,
    NoExpertAnsweredError,
    TameError,
)
from tame_router.routing.decision import Join
from tests.answering.join_scripts import plan

BABBLE = Piece(text="嗯" * 1_100)


def left(*how: TameError | None) -> Roster:
    """Have two experts leave: with an error, or, None, because they wrote too much."""
    roster = Roster(plan(Join.VOTE, settings=JoinSettings(most_waiting_chars=1_024)), "en")
    for index, error in enumerate(how):
        if error is None:
            told = roster.keep(index, Draft(), BABBLE)
            assert getattr(told[-1], "written", 0) == 1_100
        else:
            roster.over(index, Failed(error))
    return roster


def test_drafts_that_are_all_too_long() -> None:
    """Each is named; asking again for as much would not help, asking for less would."""
    with pytest.raises(NoExpertAnsweredError, match=r"e0: .*1100 char.*; e1: ") as caught:
        left(None, None).reason()
    error = caught.value
    assert error.message.endswith("send a smaller max_tokens")
    assert "try again" not in error.message
    assert error.retry_after_s is None
    assert error.metadata == {"expert.e0": TOO_LONG, "expert.e1": TOO_LONG}


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (BackendSilentError("no", retry_after_s=1), "; try again, or send a smaller max_tokens"),
        (BackendFailedError("no"), "; send a smaller max_tokens"),
        (DeadlineExceededError("late"), "; send a smaller max_tokens, or allow more time"),
    ],
)
def test_every_reason_is_told(error: TameError, advice: str) -> None:
    """One expert's failure does not hide that another wrote too much."""
    with pytest.raises(NoExpertAnsweredError) as caught:
        left(None, error).reason()
    assert caught.value.metadata == {"expert.e0": TOO_LONG, "expert.e1": error.reason}
    assert caught.value.message.endswith(advice)


def test_one_reason_of_all_is_the_error() -> None:
    """Time that was too short for everybody is the caller's deadline."""
    with pytest.raises(DeadlineExceededError):
        left(DeadlineExceededError("late"), DeadlineExceededError("late")).reason()
