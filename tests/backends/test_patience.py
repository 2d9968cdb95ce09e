"""What waiting too long means depends on which limit comes first."""

import pytest

from tame_router.backends.patience import Patience
from tame_router.errors import BackendSilentError, DeadlineExceededError, TameError


def patience(deadline: float | None) -> Patience:
    """Begin at 100 s, with 10 s for the first words and 5 s between words."""
    return Patience.of(
        deadline=deadline, now=100.0, first_token_timeout_s=10.0, stall_timeout_s=5.0
    )


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
