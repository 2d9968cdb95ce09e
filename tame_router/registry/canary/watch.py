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
        verdict: What is known.
        live_answers: Answers of the live revision that were seen.
        canary_answers: Those of the canary.
    """

    canary: str
    live: str
    verdict: Verdict
    live_answers: int
    canary_answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    arms: dict[str, Arm]
    live: str
    canary: str
    trial: CanaryTrial


class CanaryWatch:
    """Watches the canaries of all experts.

    Args:
        settings: Whether, and with which error.
        decided: Who is told.
    """

    __slots__ = ("_decided", "_settings", "_watched")

    def __init__(self, settings: CanarySettings, decided: Decided) -> None:
        self._settings = settings
        self._decided = decided
        self._watched: dict[str, _Watched] = {}

    @property
    def busy(self) -> bool:
        """Whether any canary is watched."""
        return bool(self._watched)

    def begin(self, expert: str, live: str, canary: str) -> None:
        """Watch a canary; one that is watched already, beside the same live one, goes on.

        Args:
            expert: Whose.
            live: Name of the live revision; empty: the base model without adapter.
            canary: Name of the canary.
        """
        known = self._watched.get(expert)
        if known is not None and (known.live, known.canary) == (live, canary):
            return
        self._watched[expert] = _Watched(
            arms={live: Arm.LIVE, canary: Arm.CANARY},
            live=live,
            canary=canary,
            trial=CanaryTrial(self._settings.error_share),
        )

    def end(self, expert: str) -> None:
        """Watch no longer; an expert without a canary is none."""
        self._watched.pop(expert, None)

    def observe(self, expert: str, revision: str, outcome: Outcome) -> None:
        """Take an answer, of whichever expert and revision."""
        watched = self._watched.get(expert)
        if watched is None:
            return
        arm = watched.arms.get(revision)
        if arm is not None:  # else it began before the canary did
            self._tell(expert, watched, watched.trial.verdict, watched.trial.observe(arm, outcome))

    def standing(self, expert: str) -> Standing | None:
        """Tell what is known of an expert's canary; None: it has none."""
        watched = self._watched.get(expert)
        if watched is None:
            return None
        return Standing(
            canary=watched.canary,
            live=watched.live,
            verdict=watched.trial.verdict,
            live_answers=watched.trial.answers[Arm.LIVE],
            canary_answers=watched.trial.answers[Arm.CANARY],
        )

    def _tell(self, expert: str, watched: _Watched, before: Verdict, verdict: Verdict) -> None:
        if verdict is not before and self._settings.automatic:
            self._decided(expert, watched.canary, verdict)
