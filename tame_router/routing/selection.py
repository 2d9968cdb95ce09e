"""Selection: from probabilities, policy and constraints to the experts that answer.

Pure. What may not answer is taken out before probabilities are renormalised, so that an
expert a caller is not entitled to (left out of `probabilities` by whoever calls) looks
exactly like one that does not exist.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tame_router.errors import ExpertNotFoundError, InvalidRequestError, NoExpertError
from tame_router.routing.decision import Constraints, ExpertProbability, Join, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionPolicy:
    """The operator's rules.

    Attributes:
        threshold: Probability from which the most probable expert answers; below it the
            fallback does. In [0, 1].
        fallback: Expert that answers when none is probable enough.
        max_experts: Experts selected at most where the caller does not say, ≥ 1.
        second_threshold: Probability from which an expert is selected beside the lead,
            in [0, 1].
        join: How answers are joined where the caller does not say.
    """

    threshold: float = 0.4
    fallback: str = "general"
    max_experts: int = 1
    second_threshold: float = 0.25
    join: Join = Join.SINGLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Who answers.

    Attributes:
        experts: The selected experts, the lead first; never empty.
        probabilities: All allowed experts, the most probable first; they sum to 1.
        reason: Why these experts.
        join: How their answers are joined.
    """

    experts: tuple[ExpertProbability, ...]
    probabilities: tuple[ExpertProbability, ...]
    reason: Reason
    join: Join


def allowed_experts(experts: Collection[str], constraints: Constraints) -> frozenset[str]:
    """Tell who may answer at all; never empty.

    Args:
        experts: Names of all experts the caller may see.
        constraints: The caller's wishes.

    Raises:
        ExpertNotFoundError: When a constraint names an expert that is not among them.
        InvalidRequestError: When the constraints contradict each other or are out of range.
        NoExpertError: When they leave nobody.
    """
    _refuse_unknown(experts, {constraints.pin} - {""} | constraints.allow | constraints.deny)
    if constraints.max_experts < 0:
        raise InvalidRequestError(
            f"max_experts is {constraints.max_experts}; send at least 1, or leave it out",
            field="constraints.max_experts",
        )
    allowed = frozenset(constraints.allow or experts) - constraints.deny
    if constraints.pin:
        if constraints.pin not in allowed:
            raise InvalidRequestError(
                f"expert {constraints.pin!r} is pinned and may not answer by `allow` or `deny`;"
                " take it out of one of them",
                field="constraints",
            )
        return frozenset((constraints.pin,))
    if not allowed:
        raise NoExpertError(
            "the constraints leave no expert that may answer; deny fewer experts, or allow one of: "
            + ", ".join(sorted(experts))
        )
    return allowed


def select(
    probabilities: Mapping[str, float], policy: SelectionPolicy, constraints: Constraints
) -> Selection:
    """Select who answers.

    Args:
        probabilities: Probability of every expert the caller may see, each ≥ 0; they need
            not sum to 1.
        policy: The operator's rules.
        constraints: The caller's wishes.

    Raises:
        ExpertNotFoundError: When a constraint names an expert that is not among them.
        InvalidRequestError: When the constraints contradict each other or are out of range.
        NoExpertError: When they leave nobody.
    """
    allowed = allowed_experts(probabilities, constraints)
    ranked = _rank({name: probabilities[name] for name in allowed})
    reason = _reason(ranked, policy, constraints)
    most = constraints.max_experts or policy.max_experts
    if reason is Reason.BELOW_THRESHOLD:
        chosen = tuple(p for p in ranked if p.expert == policy.fallback)
    else:
        chosen = (ranked[0], *_seconds(ranked[1:], policy))[:most]
    return Selection(
        experts=chosen,
        probabilities=ranked,
        reason=reason,
        join=constraints.join or policy.join,
    )


def _refuse_unknown(experts: Collection[str], named: Iterable[str]) -> None:
    unknown = sorted(name for name in named if name not in experts)
    if unknown:
        shown = unknown[0][:64]
        raise ExpertNotFoundError(
            f"the constraints name expert {shown!r}, which does not exist;"
            " ListExperts tells which there are",
            metadata={"expert": shown},
        )


def _rank(probabilities: Mapping[str, float]) -> tuple[ExpertProbability, ...]:
    total = math.fsum(probabilities.values())  # the same in any order
    shares = {
        name: value / total if total > 0 else 1 / len(probabilities)
        for name, value in probabilities.items()
    }
    return tuple(
        ExpertProbability(expert=name, probability=share)
        for name, share in sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    )


def _reason(
    ranked: tuple[ExpertProbability, ...], policy: SelectionPolicy, constraints: Constraints
) -> Reason:
    if constraints.pin:
        return Reason.PINNED
    if len(ranked) == 1:
        return Reason.ONLY_ALLOWED
    if ranked[0].probability >= policy.threshold:
        return Reason.MOST_PROBABLE
    if any(p.expert == policy.fallback for p in ranked):
        return Reason.BELOW_THRESHOLD
    return Reason.FALLBACK_NOT_ALLOWED


def _seconds(
    others: tuple[ExpertProbability, ...], policy: SelectionPolicy
) -> Iterable[ExpertProbability]:
    """Give the experts worth hearing beside the lead; the fallback adds nothing to an expert."""
    return (
        p
        for p in others
        if p.probability >= policy.second_threshold and p.expert != policy.fallback
    )
