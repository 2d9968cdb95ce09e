"""How fast a queue moves."""

import pytest

from tame_router.backends.queueing.pace import FIRST_S, Pace


def test_nothing_is_known_at_first() -> None:
    """Before an answer has ended nobody can say how long a turn takes."""
    pace = Pace()
    assert pace.wait_s(3, 8) is None
    assert pace.cost_s("a") == FIRST_S


def test_a_turn_takes_as_long_as_those_before_hold_places() -> None:
    """Nine more, four places, two seconds each: a place is free every half second."""
    pace = Pace()
    for _ in range(10):
        pace.ended("a", 2.0)
    assert pace.wait_s(9, 4) == pytest.approx(5.0)


def test_each_tenant_costs_what_its_answers_take() -> None:
    """Who asks for long answers pays for long ones; who is not known pays the mean."""
    pace = Pace()
    for _ in range(200):
        pace.ended("long", 8.0)
        pace.ended("short", 2.0)
    assert pace.cost_s("long") == pytest.approx(8.0)
    assert pace.cost_s("short") == pytest.approx(2.0)
    assert 4 < pace.cost_s("new") < 6


def test_strangers_do_not_fill_it() -> None:
    """However many tenants there are, so many are remembered."""
    pace = Pace()
    for number in range(5_000):
        pace.ended(str(number), 1.0)
    assert len(pace._tenants) <= 1_024


def test_refusals_are_no_pace() -> None:
    """Answers that a dead server refuses at once do not make a queue look fast; long waits slow."""
    pace = Pace()
    pace.ended("a", 0.001, failed=True)
    assert pace.wait_s(0, 1) is None
    pace.ended("a", 2.0)
    for _ in range(1_000):
        pace.ended("a", 0.001, failed=True)
    assert pace.wait_s(0, 1) == pytest.approx(2.0)
    pace.ended("a", 60.0, failed=True)
    assert (pace.wait_s(0, 1) or 0) > 5
