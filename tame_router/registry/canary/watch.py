"""Collects what becomes of answers while canaries run, and tells once what is known of one.

Everything happens on the event loop. An answer of an expert without a canary costs one look
into a dictionary. Each router judges by the answers that it gave itself, since it started.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tame_router.config_registry import CanarySettings
from tame_router.registry.canary.outcome import Outcome
from tame_router.registry.canary.trial import Arm, CanaryTrial, Verdict

Decided: TypeAlias = Callable[[str, str, Verdict], None]
"""Called with expert, canary and verdict (ROLL_BACK or GOOD), once for each canary. It must not
wait: an answer does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a canary.

    Attributes:
        canary: Its name.
        live: What it is compared with; empty: the base model without adapter.
        shadow: Nobody is given its answers.
        verdict: What is known.
        ground: What speaks against it the most, in words.
        live_answers: Answers of the live revision that were seen.
        canary_answers: Those of the canary.
        live_ratings: Bad ratings of the live revision's answers that were counted.
        canary_ratings: Those of the canary's.
        trial: Which trial it is; another number, another trial.
    """

    canary: str
    live: str
    shadow: bool = False
    verdict: Verdict
    ground: str
    live_answers: int
    canary_answers: int
    live_ratings: int
    canary_ratings: int
    trial: int

    def same_trial(self, other: "Standing") -> bool:
        """Tell whether both are of one trial, with the same verdict."""
        return (self.trial, self.verdict) == (other.trial, other.verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    live: str
    canary: str
    shadow: bool
    number: int
    trial: CanaryTrial

    def arm(self, revision: str) -> Arm | None:
        """Tell which side a revision is; None: it answered before the canary began."""
        if revision == self.canary:
            return Arm.CANARY
        return Arm.LIVE if revision == self.live else None


class CanaryWatch:
    """Watches the canaries of all experts.

    Args:
        settings: Whether, and with which error.
        decided: Who is told.
    """

    __slots__ = ("_begun", "_decided", "_settings", "_watched")

    def __init__(self, settings: CanarySettings, decided: Decided) -> None:
        self._settings = settings
        self._decided = decided
        self._begun = 0
        self._watched: dict[str, _Watched] = {}

    @property
    def busy(self) -> bool:
        """Whether any canary is watched."""
        return bool(self._watched)

    def begin(self, expert: str, live: str, canary: str, *, shadow: bool = False) -> None:
        """Watch a canary; one that is watched already, beside the same live one, goes on.

        Args:
            expert: Whose.
            live: Name of the live revision; empty: the base model without adapter.
            canary: Name of the canary.
            shadow: It answers copies of questions, and nobody is given its answers.
        """
        known = self._watched.get(expert)
        if known and (known.live, known.canary, known.shadow) == (live, canary, shadow):
            return
        self._watched[expert] = self._new(live, canary, shadow=shadow)

    def renew(self, expert: str) -> None:
        """Begin a new trial of the canary that an expert has; without one nothing happens."""
        known = self._watched.get(expert)
        if known is not None:
            self._watched[expert] = self._new(known.live, known.canary, shadow=known.shadow)

    def end(self, expert: str) -> None:
        """Watch no longer; an expert without a canary is none."""
        self._watched.pop(expert, None)

    def observe(self, expert: str, revision: str, outcome: Outcome) -> None:
        """Take an answer, of whichever expert and revision; beside a shadow none counts alone."""
        watched = self._watched.get(expert)
        if watched is None or watched.shadow:
            return
        arm = watched.arm(revision)
        if arm is not None:
            before = watched.trial.verdict
            self._tell(expert, watched, before, watched.trial.observe(arm, outcome))

    def compare(
        self,
        expert: str,
        shadow: str,
        live: Outcome,
        copy: Outcome,
        preference: float | None = None,
    ) -> None:
        """Take what became of a question and of its copy; of a shadow that has ended: nothing.

        Args:
            expert: Whose.
            shadow: Name of the shadow.
            live: The answer.
            copy: The shadow's answer.
            preference: As `CanaryTrial.compare` takes it.
        """
        watched = self._watched.get(expert)
        if watched is not None and watched.shadow and watched.canary == shadow:
            before = watched.trial.verdict
            self._tell(expert, watched, before, watched.trial.compare(live, copy, preference))

    def dislike(self, expert: str, revision: str, canary: str, share: float) -> None:
        """Take a bad rating of an answer.

        Args:
            expert: Who answered.
            revision: By which revision.
            canary: The canary at that time; of one that has ended nothing counts.
            share: Its share of the conversations at that time, in (0, 1).
        """
        watched = self._watched.get(expert)
        if watched is None or watched.shadow or watched.canary != canary:
            return
        arm = watched.arm(revision)
        if arm is not None:
            before = watched.trial.verdict
            self._tell(expert, watched, before, watched.trial.dislike(arm, share))

    def standing(self, expert: str) -> Standing | None:
        """Tell what is known of an expert's canary; None: it has none."""
        watched = self._watched.get(expert)
        if watched is None:
            return None
        trial = watched.trial
        return Standing(
            canary=watched.canary,
            live=watched.live,
            shadow=watched.shadow,
            verdict=trial.verdict,
            ground=trial.ground.value,
            live_answers=trial.answers[Arm.LIVE],
            canary_answers=trial.answers[Arm.CANARY],
            live_ratings=trial.ratings[Arm.LIVE],
            canary_ratings=trial.ratings[Arm.CANARY],
            trial=watched.number,
        )

    def _new(self, live: str, canary: str, *, shadow: bool) -> _Watched:
        self._begun += 1
        return _Watched(
            live=live,
            canary=canary,
            shadow=shadow,
            number=self._begun,
            trial=CanaryTrial(self._settings.error_share),
        )

    def _tell(self, expert: str, watched: _Watched, before: Verdict, verdict: Verdict) -> None:
        if verdict is not before and self._settings.automatic:
            self._decided(expert, watched.canary, verdict)
