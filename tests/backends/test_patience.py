"""What waiting too long means depends on which limit comes first."""

import pytest

from tame_router.backends.backend import Generation
from tame_router.backends.patience import Patience
from tame_router.backends.replicas.failure import failure_of
from tame_router.chat import Sampling
from tame_router.errors import BackendSilentError, DeadlineExceededError, TameError


def patience(
    deadline: float | None,
    *,
    begin_by: float | None = None,
    first_s: float | None = None,
    stall_s: float | None = None,
) -> Patience:
    """Begin at 100 s, with 10 s for the first words and 5 s between words."""
    generation = Generation(
        revision="",
        messages=(),
        sampling=Sampling(),
        request_id="r",
        deadline=deadline,
        begin_by=begin_by,
        first_token_timeout_s=first_s,
        stall_timeout_s=stall_s,
    )
    return Patience.of(generation, now=100.0, first_token_timeout_s=10.0, stall_timeout_s=5.0)


@pytest.mark.parametrize(
    ("deadline", "last_words", "until", "kind"),
    [
        (None, None, 110.0, BackendSilentError),
        (None, 120.0, 125.0, BackendSilentError),
        (105.0, None, 105.0, DeadlineExceededError),
        (200.0, None, 110.0, BackendSilentError),
        (121.0, 120.0, 121.0, DeadlineExceededError),
        (200.0, 120.0, 125.0, BackendSilentError),
    ],
)
def test_nearest_limit_counts(
    deadline: float | None, last_words: float | None, until: float, kind: type[TameError]
) -> None:
    """The wait must end at the nearest limit, with that limit's error."""
    waiting = patience(deadline)
    assert waiting.until(last_words) == until
    assert type(waiting.error(last_words)) is kind


@pytest.mark.parametrize("deadline", [99.0, 100.0])
def test_past_deadline_is_refused_at_once(deadline: float) -> None:
    """A deadline that has passed must not begin a wait."""
    with pytest.raises(DeadlineExceededError):
        patience(deadline)


def test_silence_can_be_tried_again() -> None:
    """A silent backend must be worth another try, and the message must name the setting."""
    first, later = patience(None).error(None), patience(None).error(120.0)
    assert first.retry_after_s == later.retry_after_s == 1.0
    assert "first_token_timeout_s" in first.message
    assert "stall_timeout_s" in later.message


def test_a_part_of_the_deadline_is_the_deadline() -> None:
    """First words that the deadline leaves no more time for are late, nobody's silence."""
    waiting = patience(110.0, begin_by=104.0)
    assert waiting.until(None) == 104.0
    assert isinstance(waiting.error(None), DeadlineExceededError)
    assert waiting.until(104.0) == 109.0
    assert isinstance(patience(200.0, begin_by=140.0).error(None), BackendSilentError)


@pytest.mark.parametrize(
    ("asked_s", "last_words", "counts"),
    [
        (None, None, True),
        (2.0, None, False),
        (10.0, None, True),
        (60.0, None, True),
        (None, 120.0, True),
        (2.0, 120.0, False),
        (60.0, 120.0, True),
    ],
)
def test_only_the_backends_own_limits_count(
    asked_s: float | None, last_words: float | None, counts: bool
) -> None:
    """One call's shorter patience says nothing about a replica."""
    error = patience(None, first_s=asked_s, stall_s=asked_s).error(last_words)
    assert isinstance(error, BackendSilentError)
    assert (failure_of(error, begun=last_words is not None) is not None) is counts
