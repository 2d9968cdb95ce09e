"""What the router made of a question: the part of its decision that is measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from tame_router.chat import Message, Role
from tame_router.evaluation.question import Kind, Question
from tame_router.routing.decision import Decision, ExpertProbability, Stage
from tame_router.routing.router import Router

WARM_UP = 100
"""Questions that are decided once before any is measured, so that no time holds a first use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was decided about a question.

    Attributes:
        lead: The expert that answers.
        experts: All selected experts, the lead first.
        probabilities: Of all experts, the most probable first; they sum to 1.
        stage: The part of the router that decided.
        elapsed_us: Time the decision took, in microseconds.
        conformal_set: Experts that the router cannot rule out; empty where it has no
            such sets.
    """

    lead: str
    experts: tuple[str, ...]
    probabilities: tuple[ExpertProbability, ...]
    stage: Stage
    elapsed_us: int
    conformal_set: tuple[str, ...] = ()

    @property
    def confidence(self) -> float:
        """The highest probability, in [0, 1]."""
        return self.probabilities[0].probability


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A question, and what was decided about it.

    Attributes:
        question: The question.
        outcome: The decision.
    """

    question: Question
    outcome: Outcome

    @property
    def lead_right(self) -> bool:
        """Whether the expert that answers is one the question belongs to."""
        return self.outcome.lead in self.question.domains

    @property
    def right(self) -> bool:
        """Whether the question got what it asks for: its expert, or all its experts."""
        if self.question.kind is Kind.MULTI:
            return set(self.question.domains) <= set(self.outcome.experts)
        return self.lead_right


def outcome_of(decision: Decision) -> Outcome:
    """Take from a decision what is measured."""
    return Outcome(
        lead=decision.lead,
        experts=tuple(chosen.expert for chosen in decision.experts),
        probabilities=decision.probabilities,
        stage=decision.stage,
        elapsed_us=decision.elapsed_us,
        conformal_set=getattr(decision, "conformal_set", ()),
    )


def decide(router: Router, text: str, *, explain: bool = False) -> Decision:
    """Let a router decide about a text that stands alone.

    Args:
        router: The router.
        text: The text; not blank.
        explain: Also name the features that weighed most.
    """
    return router.route([Message(role=Role.USER, content=text)], explain=explain)


def examine(router: Router, questions: Sequence[Question]) -> tuple[Trial, ...]:
    """Let a router decide about every question, after a warm-up; in their order."""
    for question in questions[:WARM_UP]:
        decide(router, question.text)
    return tuple(Trial(question=q, outcome=outcome_of(decide(router, q.text))) for q in questions)
