"""Whether a canary is worse than the live revision, as good, or not known yet. Pure.

Answers of both sides come in any order. A round is played when both sides have some that no
round has used: the mean of the one against the mean of the other. Who answers is decided by
lot and before the answer, so if the canary is as good the sides' means differ by chance alone.
A shadow answers the same questions as the live revision: each pair is a round.

- Worse: one of the five `Ground`s, each a wager of its own; the mean of their capitals decides.
- Good: a canary that is clearly worse is ruled out by more wagers, and it has answered often
  enough; and neither ratings nor a judge speak against it.
"""

import enum
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tame_router.registry.canary.outcome import Outcome
from tame_router.registry.canary.wager import Wager, log_mean

TOLERATED_SLOWNESS: Final = 1.25
"""Ratio of times a token that is put up with."""

CLEAR_BAD: Final = 0.1
"""Share of bad answers that must be ruled out before it is called good."""

CLEAR_SLOWNESS: Final = 1.5
"""Ratio of times a token that must be ruled out."""

CLEAR_LEAK: Final = 0.1
"""The same of `Outcome.leak`."""

LEAST_ANSWERS: Final = 100
"""Answers of a canary before it may be called good."""

SPEAKS_AGAINST: Final = math.log(3)
"""Logarithm of the capital at which ratings, or a judge, keep a canary from being called good."""


class Ground(enum.StrEnum):
    """Why a canary is worse."""

    BAD = "more bad answers"
    SLOW = "more time a token"
    LEAKING = "more Simplified characters"
    DISLIKED = "more bad ratings"
    JUDGED = "a judge prefers the live one"


WEIGHTS: Final[Mapping[Ground, float]] = MappingProxyType(
    {
        Ground.BAD: 0.4,
        Ground.SLOW: 0.3,
        Ground.LEAKING: 0.1,
        Ground.DISLIKED: 0.1,
        Ground.JUDGED: 0.1,
    }
)
"""How the one error is shared."""


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

    __slots__ = ("answers", "bad", "leaks", "logs", "looked_at", "timed")

    def __init__(self) -> None:
        self.answers = 0
        self.bad = 0
        self.timed = 0
        self.logs = 0.0
        self.looked_at = 0
        self.leaks = 0.0

    def add(self, outcome: Outcome) -> None:
        self.answers += 1
        self.bad += outcome.bad
        if outcome.token_s:
            self.timed += 1
            self.logs += math.log(outcome.token_s)
        if outcome.leak is not None:
            self.looked_at += 1
            self.leaks += outcome.leak


class CanaryTrial:
    """One canary under watch; ended by its first verdict that is not CONTINUE.

    Args:
        error: Probability, at most, of rolling back a canary that is as good as the live one,
            and likewise of calling one good that is clearly worse; in (0, 1).

    Attributes:
        answers: Answers that were seen, by arm.
        ratings: Bad ratings that were counted, by arm.
        verdict: What is known.
    """

    __slots__ = (
        "_against",
        "_error",
        "_live",
        "_new",
        "_not_bad",
        "_not_leaking",
        "_not_slow",
        "answers",
        "ratings",
        "verdict",
    )

    def __init__(self, error: float = 0.05) -> None:
        self._error = error
        self._live, self._new = _Side(), _Side()
        self._against = {ground: Wager() for ground in WEIGHTS}
        self._not_bad, self._not_slow, self._not_leaking = Wager(), Wager(), Wager()
        self.answers = {Arm.LIVE: 0, Arm.CANARY: 0}
        self.ratings = {Arm.LIVE: 0, Arm.CANARY: 0}
        self.verdict = Verdict.CONTINUE

    @property
    def ground(self) -> Ground:
        """What speaks against the canary the most."""
        return max(
            WEIGHTS,
            key=lambda ground: math.log(WEIGHTS[ground]) + self._against[ground].log_capital,
        )

    def observe(self, arm: Arm, outcome: Outcome) -> Verdict:
        """Take one answer, and tell what is known now."""
        self.answers[arm] += 1
        (self._new if arm is Arm.CANARY else self._live).add(outcome)
        if not (self._live.answers and self._new.answers):
            return self.verdict
        self._play()
        return self._decide()

    def compare(self, live: Outcome, canary: Outcome, preference: float | None = None) -> Verdict:
        """Take both sides' answers to one question, and tell what is known now.

        Args:
            live: The live revision's.
            canary: The canary's.
            preference: What a judge says of them: 1 the live one's is better, -1 the canary's, 0
                neither; None: nobody was asked, or nothing came of it.
        """
        if preference is not None:
            self._against[Ground.JUDGED].play(preference)
        self.observe(Arm.LIVE, live)
        return self.observe(Arm.CANARY, canary)

    def dislike(self, arm: Arm, share: float) -> Verdict:
        """Take a bad rating, and tell what is known now.

        Good ones are not asked for: many people say something only where they are displeased. If
        the canary is as good, a bad rating is for it as often as a lot has let it answer.

        Args:
            arm: Which revision's answer was rated.
            share: Share of the conversations that the canary answered then, in (0, 1).
        """
        self.ratings[arm] += 1
        surprise = float(arm is Arm.CANARY) - share
        self._against[Ground.DISLIKED].play(surprise / max(share, 1 - share))
        return self._decide()

    def _play(self) -> None:
        live, new = self._live, self._new
        worse = new.bad / new.answers - live.bad / live.answers
        self._against[Ground.BAD].play(worse)
        self._not_bad.play(CLEAR_BAD - worse)
        if live.timed and new.timed:
            slower = new.logs / new.timed - live.logs / live.timed
            self._against[Ground.SLOW].play(_sign(slower - math.log(TOLERATED_SLOWNESS)))
            self._not_slow.play(_sign(math.log(CLEAR_SLOWNESS) - slower))
        if live.looked_at and new.looked_at:
            leaking = new.leaks / new.looked_at - live.leaks / live.looked_at
            self._against[Ground.LEAKING].play(leaking)
            self._not_leaking.play(CLEAR_LEAK - leaking)
        self._live, self._new = _Side(), _Side()

    def _decide(self) -> Verdict:
        if self.verdict is not Verdict.CONTINUE:
            return self.verdict
        # The mean of capitals is a capital: one error for all.
        capitals = [self._against[ground].log_capital for ground in WEIGHTS]
        if log_mean(capitals, tuple(WEIGHTS.values())) >= -math.log(self._error):
            self.verdict = Verdict.ROLL_BACK
        elif self.answers[Arm.CANARY] >= LEAST_ANSWERS and self._cleared():
            self.verdict = Verdict.GOOD
        return self.verdict

    def _cleared(self) -> bool:
        """Tell whether a canary that is clearly worse is ruled out."""
        ruled_out = self._not_bad.wins(self._error) and all(
            wager.wins(self._error) or not wager.rounds
            for wager in (self._not_slow, self._not_leaking)
        )
        # These come seldom, and some never: nothing waits for them, and they are heeded.
        return ruled_out and all(
            self._against[ground].log_capital < SPEAKS_AGAINST
            for ground in (Ground.DISLIKED, Ground.JUDGED)
        )


def _sign(value: float) -> float:
    return math.copysign(1.0, value) if value else 0.0
