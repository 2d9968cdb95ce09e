"""Bets against an assumption."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.registry.canary.wager import Wager, log_mean

VALUES = st.lists(st.floats(-1, 1), max_size=30)


@given(VALUES, st.floats(0, 1))
def test_a_fair_round_wins_nothing_on_average(values: list[float], size: float) -> None:
    """Whatever came before, up or down by the same leaves the mean capital as it was."""
    up, down, before = Wager(), Wager(), Wager()
    for value in values:
        for wager in (up, down, before):
            wager.play(value)
    up.play(size)
    down.play(-size)
    mean = log_mean([up.log_capital, down.log_capital])
    assert mean == pytest.approx(before.log_capital, abs=1e-9)


@given(VALUES)
def test_nobody_is_ruined(values: list[float]) -> None:
    """Capital stays above nothing, and what is beyond the ends counts as the end."""
    wager, beyond = Wager(), Wager()
    for value in values:
        wager.play(math.copysign(1, value))
        beyond.play(math.copysign(7, value))
    assert math.isfinite(wager.log_capital)
    assert wager.log_capital == beyond.log_capital
    assert wager.rounds == len(values)


def test_a_true_assumption_is_seldom_given_up() -> None:
    """Of 400 fair games of 300 rounds, looked at after each, at most 5 % are ever won."""
    lot = random.Random(1)
    won = 0
    for _ in range(400):
        wager = Wager()
        for _ in range(300):
            wager.play(lot.choice((-1, 0, 1)))
            if wager.wins(0.05):
                won += 1
                break
    assert won <= 20


def test_a_wrong_assumption_is_given_up() -> None:
    """Values that lie above zero on average win in the end."""
    lot = random.Random(1)
    wager = Wager()
    for _ in range(300):
        wager.play(lot.choice((-1, 0, 1, 1)))
    assert wager.wins(0.05)


def test_a_mean_is_weighted() -> None:
    """Capitals of 1 and e with weights of three quarters and one."""
    assert log_mean([0.0, 1.0], (0.75, 0.25)) == pytest.approx(math.log(0.75 + 0.25 * math.e))
