"""The decision as HTTP callers read it: the `tame` field and the headers."""

from typing import Any

from tame_router.answering.event import DecisionMade, ExpertStart, Fallback
from tame_router.routing.decision import Decision


def decision_document(made: DecisionMade, revision: str, notice: str) -> dict[str, Any]:
    """Describe who answers and why, as the `tame` field of an answer.

    Args:
        made: The decision.
        revision: The adapter revision that answers; empty: the base model without adapter.
        notice: Notice to show beside the answer; may be empty.
    """
    return {
        "answer_id": made.answer_id,
        "decision": _describe(made.decision),
        "revision": revision,
        "notice": notice,
    }


def _describe(decision: Decision) -> dict[str, Any]:
    return {
        "experts": [
            {"expert": e.expert, "probability": e.probability, "relevance": e.relevance}
            for e in decision.experts
        ],
        "reason": decision.reason.value,
        "stage": decision.stage.value,
        "language": decision.language,
        "join": decision.join.value,
        "join_reason": decision.join_reason.value,
        "classifier_digest": decision.classifier_digest,
        "conformal_set": decision.conformal_set,
    }


def fallback_document(fallback: Fallback) -> dict[str, Any]:
    """Describe that another answers in the place of the expert that was selected."""
    return {
        "kind": fallback.kind.value,
        "instead_of": fallback.instead_of,
        "revision": fallback.revision,
        "reason": fallback.reason,
        "backend": fallback.backend,
        "external": fallback.external,
    }


def decision_headers(made: DecisionMade, start: ExpertStart | None = None) -> dict[str, str]:
    """Give the headers that tell who answers.

    Args:
        made: The decision.
        start: Who has been asked last; None: nobody yet.
    """
    headers = {
        "x-tame-answer-id": made.answer_id,
        "x-tame-expert": made.decision.lead,
        "x-tame-decision-reason": made.decision.reason.value,
    }
    if start is not None and start.fallback is not None:
        headers["x-tame-expert"] = start.expert
        headers["x-tame-fallback"] = start.fallback.kind.value
    return headers
