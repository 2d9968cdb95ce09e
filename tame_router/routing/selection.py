"""Selection: from probabilities, policy and constraints to the experts that answer.

Pure. What may not answer is taken out before probabilities are renormalised, so that an
expert a caller is not entitled to (left out of `probabilities` by whoever calls) looks
exactly like one that does not exist.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from tame_router.errors import ExpertNotFoundError, InvalidRequestError, NoExpertError
from tame_router.routing.decision import Constraints, ExpertProbability, Join, JoinReason, Reason
from tame_router.routing.joining import EVERYTHING, JoinRules, choose_join, experts_asked


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionPolicy:
    """The operator's rules.

    Attributes:
        threshold: Probability from which the most probable expert answers, those that are
            relevant beside it counted in; below it the fallback does. In [0, 1].
        coverage: Share of questions whose conformal set is to hold the right expert, in
            [0, 1). Where the fallback is in the set, it answers.
        fallback: Expert that answers when none is probable enough.
        max_experts: Experts selected at most where the caller does not say, ≥ 1.
        second_threshold: Relevance from which an expert is selected beside the lead, in
            [0, 1].
        join: How answers are joined where the question needs several experts and the caller
            does not say.
        most_experts: Experts that a caller may have asked for one question, ≥ 2.
        join_threshold: Relevance from which an expert that is selected beside the lead answers
            too where the caller names no join, in [0, 1].
    """

    threshold: float = 0.5
    coverage: float = 0.92
    fallback: str = "general"
    max_experts: int = 2
    second_threshold: float = 0.02
    join: Join = Join.SINGLE
    most_experts: int = 4
    join_threshold: float = 0.5


class Evidence(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a question.

    Attributes:
        probabilities: Of every expert the caller may see, each ≥ 0; they need not sum to 1.
        relevances: Probability that the question touches an expert's domain, in [0, 1];
            none: not known.
        several: Whether it may need more than one expert.
        least_probability: Probability from which an expert belongs to the conformal set,
            in [0, 1].
    """

    probabilities: Mapping[str, float]
    relevances: Mapping[str, float] = msgspec.field(default_factory=dict)
    several: bool = False
    least_probability: float = 1.0


class Selection(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who answers.

    Attributes:
        experts: The selected experts, the lead first; never empty.
        probabilities: All allowed experts, the most probable first; they sum to 1.
        reason: Why these experts.
        join: How their answers are joined.
        conformal_set: Experts that could not be ruled out, the most probable first.
        join_reason: Why they are joined this way.
    """

    experts: tuple[ExpertProbability, ...]
    probabilities: tuple[ExpertProbability, ...]
    reason: Reason
    join: Join
    conformal_set: tuple[str, ...]
    join_reason: JoinReason = JoinReason.ONE_EXPERT


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
    named = constraints.pin or constraints.allow or constraints.deny
    if experts and not named and not constraints.max_experts:
        return frozenset(experts)  # nearly every question
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
    if not experts:
        raise NoExpertError("no expert may be used with this key; ask the operator to grant one")
    if not allowed:
        raise NoExpertError(
            "the constraints leave no expert that may answer; deny fewer experts, or allow one of: "
            + ", ".join(sorted(experts))
        )
    return allowed


def select(
    evidence: Evidence,
    policy: SelectionPolicy,
    constraints: Constraints,
    rules: JoinRules = EVERYTHING,
) -> Selection:
    """Select who answers, and how their answers are joined.

    More than one expert answers only where the evidence says so, or where the caller names a
    join of several: then the next most probable are taken too.

    Args:
        evidence: What is known of the question.
        policy: The operator's rules.
        constraints: The caller's wishes.
        rules: What holds for the joins of this question.

    Raises:
        ExpertNotFoundError: When a constraint names an expert that is not among them.
        InvalidRequestError: When the constraints contradict each other or are out of range.
        NoExpertError: When they leave nobody.
    """
    allowed = allowed_experts(evidence.probabilities, constraints)
    asked = experts_asked(
        constraints,
        len(allowed),
        default=policy.max_experts,
        most=policy.most_experts,
        rules=rules,
    )
    ranked = _rank(evidence, allowed)
    least = evidence.least_probability
    plausible = tuple([p.expert for p in ranked if p.probability >= least])
    most = constraints.max_experts or policy.max_experts
    candidates = ranked[:1]
    if evidence.several:
        candidates = (ranked[0], *_seconds(ranked, policy))[:most]
    reason = _reason(ranked, candidates, plausible, policy, constraints)
    if reason is Reason.BELOW_THRESHOLD or reason is Reason.FALLBACK_PLAUSIBLE:
        chosen = tuple(p for p in ranked if p.expert == policy.fallback)
    else:
        chosen = candidates
    if asked:
        chosen = _filled(chosen, ranked, asked, policy)
    heard = chosen[:1]
    if len(chosen) > 1:
        heard += tuple([p for p in chosen[1:] if p.relevance >= policy.join_threshold])
    join, join_reason = choose_join(len(chosen), len(heard), constraints, policy.join, rules)
    if constraints.join is None and join is not Join.SINGLE:
        chosen = heard
    return Selection(
        experts=chosen,
        probabilities=ranked,
        reason=reason,
        join=join,
        conformal_set=plausible,
        join_reason=join_reason,
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


def _rank(evidence: Evidence, allowed: Collection[str]) -> tuple[ExpertProbability, ...]:
    probability = evidence.probabilities
    total = math.fsum([probability[name] for name in allowed])  # the same in any order
    if total > 0:
        shares = [(-probability[name] / total, name) for name in allowed]
    else:
        shares = [(-1 / len(allowed), name) for name in allowed]
    shares.sort()
    relevance = evidence.relevances.get
    return tuple(
        [
            ExpertProbability(expert=name, probability=-below, relevance=relevance(name, 0.0))
            for below, name in shares
        ]
    )


def _reason(
    ranked: tuple[ExpertProbability, ...],
    candidates: tuple[ExpertProbability, ...],
    plausible: tuple[str, ...],
    policy: SelectionPolicy,
    constraints: Constraints,
) -> Reason:
    if constraints.pin:
        return Reason.PINNED
    if len(ranked) == 1:
        return Reason.ONLY_ALLOWED
    # Two experts that a question needs share its probability: neither may reach far alone.
    if math.fsum([p.probability for p in candidates]) < policy.threshold:
        may_answer = policy.fallback in [p.expert for p in ranked]
        return Reason.BELOW_THRESHOLD if may_answer else Reason.FALLBACK_NOT_ALLOWED
    if policy.fallback in plausible and ranked[0].expert != policy.fallback:
        (its_own,) = [p.probability for p in ranked if p.expert == policy.fallback]
        # Where the set holds everyone, chance decides what is plausible.
        if its_own >= 1 / len(ranked):
            return Reason.FALLBACK_PLAUSIBLE
    return Reason.MOST_PROBABLE


def _seconds(
    ranked: tuple[ExpertProbability, ...], policy: SelectionPolicy
) -> list[ExpertProbability]:
    """Give the experts worth hearing beside the lead, the most relevant first.

    The fallback adds nothing to an expert, nor an expert to the fallback.
    """
    if ranked[0].expert == policy.fallback:
        return []
    worth = [
        p
        for p in ranked[1:]
        if p.relevance >= policy.second_threshold and p.expert != policy.fallback
    ]
    return sorted(worth, key=lambda p: -p.relevance)


def _filled(
    chosen: tuple[ExpertProbability, ...],
    ranked: tuple[ExpertProbability, ...],
    wanted: int,
    policy: SelectionPolicy,
) -> tuple[ExpertProbability, ...]:
    """Take the next most probable experts too; the fallback only where there are no others."""
    others = [p for p in ranked if p not in chosen]
    others.sort(key=lambda p: p.expert == policy.fallback)
    return (*chosen, *others)[:wanted]
