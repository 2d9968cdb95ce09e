"""Canaries, simulated with a fixed seed: the laws that the statistics must keep."""

import math
from dataclasses import replace

import pytest

from bench.canary import FAIR, World, tally
from tame_router.registry.canary.outcome import FAILED, Outcome
from tame_router.registry.canary.trial import (
    LEAST_ANSWERS,
    WEIGHTS,
    Arm,
    CanaryTrial,
    Ground,
    Verdict,
)

RUNS = 200
FINE = Outcome(bad=False, token_s=0.02)


@pytest.mark.parametrize("bad", [0.05, 0.3])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_equal_canaries_are_seldom_rolled_back(bad: float, share: float) -> None:
    """Of 200 canaries that are as good as the live revision at most 5 % are rolled back."""
    world = World(name="equal", live_bad=bad, canary_bad=bad)
    assert tally(world, share, RUNS, seed=1).rolled_back <= RUNS * 0.05


@pytest.mark.parametrize(
    "world",
    [
        FAIR,
        replace(FAIR, live_disliked=0.5, canary_disliked=0.5),
        replace(FAIR, shadow=True),
        replace(FAIR, shadow=True, live_preferred=0.5, canary_preferred=0.5),
    ],
)
def test_all_wagers_together_err_as_seldom(world: World) -> None:
    """Simplified Chinese, ratings and a judge that prefers each as often: 5 % at most too."""
    assert tally(world, 0.1, RUNS, seed=1).rolled_back <= RUNS * 0.05


@pytest.mark.parametrize(
    "world",
    [
        World(name="worse", live_bad=0.05, canary_bad=0.25),
        World(name="worse", live_bad=0.3, canary_bad=0.5),
        World(name="slow", live_bad=0.05, canary_bad=0.05, slowness=2),
        replace(FAIR, name="leaking", canary_leak=0.5),
        replace(FAIR, name="disliked", live_disliked=0.05, canary_disliked=0.25),
        replace(FAIR, name="shadow", shadow=True, canary_bad=0.25),
    ],
)
def test_a_clearly_worse_canary_is_caught(world: World) -> None:
    """20 points more bad answers, or twice the time: caught within 200 answers, in 95 % of runs."""
    found = tally(world, 0.1, RUNS, seed=1)
    assert found.rolled_back >= RUNS * 0.95
    assert found.good == 0


def test_a_judge_that_prefers_the_live_one_is_heard() -> None:
    """Three times as often as the canary: caught within 200 pairs, in 95 % of runs."""
    world = replace(FAIR, name="judged", shadow=True, live_preferred=0.6)
    assert tally(world, 1, RUNS, seed=1).rolled_back >= RUNS * 0.95


def test_a_good_canary_is_called_good() -> None:
    """Answers without a fault end the trial as soon as there are enough of them."""
    trial = CanaryTrial()
    for _ in range(LEAST_ANSWERS - 1):
        trial.observe(Arm.LIVE, FINE)
        assert trial.observe(Arm.CANARY, FINE) is Verdict.CONTINUE
    trial.observe(Arm.LIVE, FINE)
    assert trial.observe(Arm.CANARY, FINE) is Verdict.GOOD


def test_a_dead_canary_is_caught_at_once() -> None:
    """A canary that never answers, beside a live one that always does, lasts a dozen answers."""
    trial = CanaryTrial()
    while trial.verdict is Verdict.CONTINUE:
        trial.observe(Arm.LIVE, FINE)
        trial.observe(Arm.CANARY, FAILED)
    assert trial.verdict is Verdict.ROLL_BACK
    assert trial.answers[Arm.CANARY] <= 12


def test_one_side_alone_says_nothing() -> None:
    """Without answers of the live revision nothing is known, however bad the canary's are."""
    trial = CanaryTrial()
    for _ in range(500):
        assert trial.observe(Arm.CANARY, FAILED) is Verdict.CONTINUE


def test_answers_that_are_more_simplified_are_caught() -> None:
    """Where both hold some Simplified, so that all are bad, the one that holds more is worse."""
    trial = CanaryTrial()
    while trial.verdict is Verdict.CONTINUE:
        trial.observe(Arm.LIVE, Outcome(bad=True, leak=0.1))
        trial.observe(Arm.CANARY, Outcome(bad=True, leak=1.0))
    assert (trial.verdict, trial.ground) == (Verdict.ROLL_BACK, Ground.LEAKING)
    assert trial.answers[Arm.CANARY] <= 30


def test_one_that_is_more_simplified_is_never_good() -> None:
    """Nor is one that is so by a little, however often it answers."""
    trial = CanaryTrial()
    for _ in range(300):
        trial.observe(Arm.LIVE, Outcome(bad=True, leak=0.0))
        assert trial.observe(Arm.CANARY, Outcome(bad=True, leak=0.1)) is not Verdict.GOOD


def test_ratings_by_share_say_nothing() -> None:
    """Bad ratings of both, as often as the lot lets each answer, end nothing."""
    trial = CanaryTrial()
    for _ in range(100):
        for arm in (Arm.CANARY, *[Arm.LIVE] * 9):
            assert trial.dislike(arm, 0.1) is Verdict.CONTINUE


def test_what_speaks_against_it_keeps_it_from_being_good() -> None:
    """Some bad ratings of the canary alone are too few to end it, and too many to call it good."""
    trial = CanaryTrial()
    for _ in range(6):
        trial.dislike(Arm.CANARY, 0.5)
    for _ in range(2 * LEAST_ANSWERS):
        assert trial.compare(FINE, FINE) is Verdict.CONTINUE
    for _ in range(4):
        trial.dislike(Arm.LIVE, 0.5)
    assert trial.compare(FINE, FINE) is Verdict.GOOD


def test_a_judge_s_verdicts_end_it() -> None:
    """Answers that are as good by all else, and less liked each time, are worse; ties are not."""
    trial = CanaryTrial()
    for _ in range(LEAST_ANSWERS // 2):
        assert trial.compare(FINE, FINE, 0.0) is Verdict.CONTINUE
    while trial.verdict is Verdict.CONTINUE:
        trial.compare(FINE, FINE, 1.0)
    assert (trial.verdict, trial.ground) == (Verdict.ROLL_BACK, Ground.JUDGED)


def test_the_shares_of_the_error_are_one() -> None:
    """All grounds together err as seldom as one would alone."""
    assert math.isclose(sum(WEIGHTS.values()), 1)
    assert set(WEIGHTS) == set(Ground)


def test_a_verdict_is_final() -> None:
    """What comes after a verdict changes nothing."""
    trial = CanaryTrial()
    while trial.verdict is Verdict.CONTINUE:
        trial.observe(Arm.LIVE, FINE)
        trial.observe(Arm.CANARY, FAILED)
    for _ in range(300):
        trial.observe(Arm.LIVE, FAILED)
        assert trial.observe(Arm.CANARY, FINE) is Verdict.ROLL_BACK
