"""What first words usually take."""

import math

from tame_router.backends.replicas.usual_times import (
    CLEARLY_LATE,
    KEPT,
    LEARNT,
    NO_MATTER_S,
    UsualTimes,
)


def test_the_first_only_teach() -> None:
    """Nothing is late, and no time is named, before enough is known of prompts of that size."""
    usual = UsualTimes()
    assert [usual.take(100, 1.0) for _ in range(LEARNT)] == [None] * LEARNT
    assert usual.take(100, 1.0) == 0
    assert usual.quantile(100, 0.5) == 1.0
    assert usual.quantile(4_000, 0.5) is None
    assert usual.take(4_000, 9.0) is None


def test_late_is_told_in_doublings() -> None:
    """Twice the usual time is one, half of it is minus one; a few milliseconds are none."""
    usual = UsualTimes()
    for _ in range(KEPT):
        usual.take(100, 1.0 - NO_MATTER_S)
    assert usual.take(100, 2.0 - NO_MATTER_S) == 1
    assert usual.take(100, 0.5 - NO_MATTER_S) == -1
    quick = UsualTimes()
    for _ in range(KEPT):
        quick.take(100, 0.001)
    late = quick.take(100, 0.006)
    assert late is not None
    assert 0 < late < 0.2


def test_a_slow_minority_is_not_what_is_usual() -> None:
    """Where a third of the words come ten times as late, those are late and the others not."""
    usual = UsualTimes()
    for number in range(3 * KEPT):
        usual.take(100, 2.0 if number % 3 == 0 else 0.2)
    slow, quick = usual.take(100, 2.0), usual.take(100, 0.2)
    assert slow is not None
    assert math.isclose(slow, math.log2((2.0 + NO_MATTER_S) / (0.2 + NO_MATTER_S)))
    assert quick == 0


def test_old_times_are_forgotten() -> None:
    """What is usual is what the last answers took, and memory stays flat."""
    usual = UsualTimes()
    for first_s in [5.0] * 1_000 + [0.5] * KEPT:
        usual.take(100, first_s)
    assert usual.quantile(100, 0.99) == 0.5


def test_quantiles() -> None:
    """A share of the times is below what is named for it."""
    usual = UsualTimes()
    for number in range(100):
        usual.take(100, number / 100)
    assert usual.quantile(100, 0.95) == 0.95
    assert usual.quantile(100, 0.0) == 0


def test_many_that_are_late_do_not_say_what_is() -> None:
    """Late is what few of the others took; where a third did, four times the usual time."""
    usual = UsualTimes()
    assert usual.late_s(100, 0.95) is None
    for number in range(100):
        usual.take(100, 0.2 if number % 25 else 0.3)
    assert usual.late_s(100, 0.95) == 0.2
    assert usual.late_s(100, 0.97) == 0.3
    for number in range(KEPT):
        usual.take(100, 0.2 if number % 3 else 5.0)
    assert usual.late_s(100, 0.95) == CLEARLY_LATE * 0.2
