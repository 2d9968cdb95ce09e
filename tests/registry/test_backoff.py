"""Whoever asks a database that is away asks less and less often, and not with all others."""

from tame_router.registry.backoff import MOST_S, Backoff


def test_waits_double_up_to_a_limit() -> None:
    """And begin anew once it has worked."""
    backoff = Backoff(1.0, 6.0, draw=lambda: 0.999_999_999)
    assert [round(backoff.failed(), 3) for _ in range(5)] == [1, 2, 4, 6, 6]
    assert backoff.failures == 5
    backoff.worked()
    assert (backoff.failures, round(backoff.failed(), 3)) == (0, 1)


def test_waits_are_drawn() -> None:
    """From half of a wait to all of it."""
    drawn = iter([0.0, 0.5, 0.0])
    backoff = Backoff(1.0, 2.0, draw=lambda: next(drawn))
    assert [backoff.failed() for _ in range(3)] == [0.5, 1.5, 1.0]


def test_a_long_first_wait_stays() -> None:
    """What is asked seldom anyway is not asked more often while it fails."""
    backoff = Backoff(60.0, draw=lambda: 0.999_999_999)
    assert MOST_S < 60
    assert [round(backoff.failed()) for _ in range(2)] == [60, 60]
