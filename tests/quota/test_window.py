"""A span that slides."""

from tame_router.quota.limit import LIMITS
from tame_router.quota.window import Window

MINUTE = LIMITS["requests_per_minute"]


def test_a_step_counts_until_all_of_it_lies_before_the_span() -> None:
    """No burst fits twice into the span's length, wherever it begins."""
    window = Window(MINUTE)
    assert window.used(1_000.9) == 0
    window.add(1_000, 5)
    assert window.used(1_060.99) == 5
    assert window.used(1_061.0) == 0
    assert not window.counts


def test_a_refund_is_taken_from_the_step_it_was_counted_in() -> None:
    """What has left the span cannot be given back."""
    window = Window(MINUTE)
    window.used(1_000)
    assert window.add(1_000, 5)
    assert window.add(1_000, -2)
    assert window.used(1_030) == 3
    assert window.used(1_061) == 0
    assert not window.add(1_000, -3)
    assert window.used(1_061) == 0


def test_the_wait_ends_when_enough_has_left() -> None:
    """The steps leave in their order; the wait is exact to the moment."""
    window = Window(MINUTE)
    window.used(1_000)
    window.add(1_000, 5)
    window.add(1_010, 5)
    assert window.wait_s(5, 1_020.5) == 40.5
    assert window.wait_s(6, 1_020.5) == 50.5


def test_a_clock_set_back_lets_nothing_in_early_and_blocks_nobody_for_long() -> None:
    """A second back changes nothing; an hour back begins anew."""
    window = Window(MINUTE)
    window.used(10_000)
    window.add(10_000, 5)
    assert window.used(9_999) == 5
    assert window.used(6_400) == 0
