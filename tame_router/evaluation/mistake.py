"""The worst mistakes: where the router was sure, and wrong, and what misled it."""

from collections.abc import Iterable
from dataclasses import dataclass

from tame_router.evaluation.outcome import Trial, decide
from tame_router.routing.decision import ExpertProbability, Feature
from tame_router.routing.router import Router


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A question that went to an expert it does not belong to.

    Attributes:
        text: The question.
        id: Its name; empty: it has none.
        source: Where it comes from.
        expected: The experts it belongs to.
        lead: The expert it went to.
        reason: Why, as the router says.
        probabilities: Of all experts, the most probable first.
        features: What weighed most for the lead, or (negative) against it.
    """

    text: str
    id: str
    source: str
    expected: tuple[str, ...]
    lead: str
    reason: str
    probabilities: tuple[ExpertProbability, ...]
    features: tuple[Feature, ...]


def worst_mistakes(trials: Iterable[Trial], most: int) -> tuple[Trial, ...]:
    """Choose the mistakes of which the router was surest, the surest first."""
    wrong = [trial for trial in trials if not trial.lead_right]
    wrong.sort(key=lambda trial: (-trial.outcome.confidence, trial.question.key))
    return tuple(wrong[:most])


def explain_mistakes(router: Router, trials: Iterable[Trial]) -> tuple[Mistake, ...]:
    """Ask the router what weighed on its decisions; in their order."""
    mistakes = []
    for trial in trials:
        decision = decide(router, trial.question.text, explain=True)
        mistakes.append(
            Mistake(
                text=trial.question.text,
                id=trial.question.id,
                source=trial.question.source,
                expected=trial.question.domains,
                lead=decision.lead,
                reason=str(decision.reason),
                probabilities=decision.probabilities,
                features=decision.features,
            )
        )
    return tuple(mistakes)
