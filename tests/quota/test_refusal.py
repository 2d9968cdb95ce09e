"""What callers are told."""

from tame_router.quota.limit import LIMITS
from tame_router.quota.refusal import never_fits, streams_full, window_full

TOKENS = LIMITS["tokens_per_minute"]


def test_a_full_window_says_which_how_much_and_when() -> None:
    """The seconds are whole, at least one, and the same in words and in the value."""
    error = window_full(TOKENS, 100, 90, 20, 12.2)
    assert "tokens_per_minute is 100: 90 tokens" in error.message
    assert "come back in 13 s" in error.message
    assert (error.retry_after_s, error.metadata) == (13.0, {"limit": "tokens_per_minute"})
    assert window_full(TOKENS, 100, 90, 20, 0.0).retry_after_s == 1.0


def test_what_never_fits_is_not_told_to_come_back() -> None:
    """It says what helps instead; with a limit of 0 less does not help either."""
    error = never_fits(TOKENS, 100, 150)
    assert "waiting does not help: ask for less" in error.message
    assert error.retry_after_s is None
    assert "ask for less" not in never_fits(TOKENS, 0, 1).message


def test_streams_say_how_many_are_open() -> None:
    """One may end at any moment: try again in a second; of none allowed, none ends."""
    error = streams_full(3, 3)
    assert (error.retry_after_s, error.metadata) == (1.0, {"limit": "concurrent_streams"})
    assert streams_full(0, 0).retry_after_s is None
