"""Whether a canary is worse than the live revision, as good, or not known yet. Pure.

Answers of both sides come in any order. A round is played when both sides have some that no
round has used: the mean of the one against the mean of the other. Who answers is decided by
lot and before the answer, so if the canary is as good the sides' means differ by chance alone.

- Worse: bad answers are more, or a token takes over `TOLERATED_SLOWNESS` times as long more often
  than not. Each is a wager of its own, and the mean of their capitals decides.
- Good: a canary that is worse by `CLEAR_BAD`, or slower by `CLEAR_SLOWNESS`, is ruled out by two
  more wagers, and it has answered often enough.
"""

import enum
import math
from typing import Final

from tame_router.registry.canary.outcome import Outcome
from tame_router.registry.canary.wager import Wager, log_mean

WEIGHTS: Final = (0.55, 0.45)
"""How the one error is shared: bad answers, slowness."""

TOLERATED_SLOWNESS: Final = 1.25
"""Ratio of times a token that is put up with."""

CLEAR_BAD: Final = 0.1
"""Share of bad answers that must be ruled out before it is called good."""

CLEAR_SLOWNESS: Final = 1.5
"""Ratio of times a token that must be ruled out."""

LEAST_ANSWERS: Final = 100
"""Answers of a canary before it may be called good."""


class Arm(enum.StrEnum):
    """Which revision answered."""

    LIVE = "live"
    CANARY = "canary"


class Verdict(enum.StrEnum):
    """What is known of a canary."""

    CONTINUE = "continue"
    """Not enough yet."""
    ROLL_BACK = "roll_back"
    """It is worse."""
    GOOD = "good"
    """It is not clearly worse, and has answered often."""


class _Side:
    """Answers of one arm that no round has used."""

    __slots__ = ("answers", "bad", "logs", "timed")

    def __init__(self) -> None:
        self.answers = 0
        self.bad = 0
        self.timed = 0
        self.logs = 0.0

    def add(self, outcome: Outcome) -> None:
        self.answers += 1
        self.bad += outcome.bad
        if outcome.token_s:
            self.timed += 1
            self.logs += math.log(outcome.token_s)


class CanaryTrial:
    """One canary under watch; ended by its first verdict that is not CONTINUE.

    Args:
        error: Probability, at most, of rolling back a canary that is as good as the live one,
            and likewise of calling one good that is clearly worse; in (0, 1).
    """

    __slots__ = (
        "_bad",
        "_error",
        "_live",
        "_new",
        "_not_bad",
        "_not_slow",
        "_slow",
        "answers",
        "verdict",
    )

    def __init__(self, error: float = 0.05) -> None:
        self._error = error
        self._live, self._new = _Side(), _Side()
        self._bad, self._slow = Wager(), Wager()
        self._not_bad, self._not_slow = Wager(), Wager()
        self.answers = {Arm.LIVE: 0, Arm.CANARY: 0}
        self.verdict = Verdict.CONTINUE

    def observe(self, arm: Arm, outcome: Outcome) -> Verdict:
        """Take one answer, and tell what is known now."""
        self.answers[arm] += 1
        (self._new if arm is Arm.CANARY else self._live).add(outcome)
        if not (self._live.answers and self._new.answers):
            return self.verdict
        self._play()
        return self._decide()

    def _play(self) -> None:
        live, new = self._live, self._new
        worse = new.bad / new.answers - live.bad / live.answers
        self._bad.play(worse)
        self._not_bad.play(CLEAR_BAD - worse)
        if live.timed and new.timed:
            slower = new.logs / new.timed - live.logs / live.timed
            self._slow.play(_sign(slower - math.log(TOLERATED_SLOWNESS)))
            self._not_slow.play(_sign(math.log(CLEAR_SLOWNESS) - slower))
        self._live, self._new = _Side(), _Side()

    def _decide(self) -> Verdict:
        if self.verdict is not Verdict.CONTINUE:
            return self.verdict
        # The mean of capitals is a capital: one error for both.
        capital = log_mean([self._bad.log_capital, self._slow.log_capital], WEIGHTS)
        if capital >= -math.log(self._error):
            self.verdict = Verdict.ROLL_BACK
        elif (
            self.answers[Arm.CANARY] >= LEAST_ANSWERS
            and self._not_bad.wins(self._error)
            and (self._not_slow.wins(self._error) or not self._not_slow.rounds)
        ):
            self.verdict = Verdict.GOOD
        return self.verdict


def _sign(value: float) -> float:
    return math.copysign(1.0, value) if value else 0.0
