"""Which join: from who was selected, the caller's wishes, the operator's policy, the tenant's.

Pure. What the caller named is done or refused, never changed; what nobody named falls back
to the lead alone where the operator's join cannot be had.
"""

from dataclasses import dataclass

from tame_router.errors import InvalidRequestError
from tame_router.routing.decision import Constraints, Join, JoinReason

SHAPED_JOINS = frozenset({Join.SINGLE, Join.VOTE, Join.BEST_OF})
"""Joins that give one expert's words as they are, so that a form holds for the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRules:
    """What holds for the joins of one question.

    Attributes:
        allowed: Joins the tenant may use, by name; empty: all.
        shaped: Tools may be called, or the answer is held to a form.
        listed: Several answers are wanted, or how probable their tokens are.
    """

    allowed: frozenset[str] = frozenset()
    shaped: bool = False
    listed: bool = False

    def may_use(self, join: Join) -> bool:
        """Tell whether the tenant may use a join."""
        return not self.allowed or join.value in self.allowed

    def fits(self, join: Join) -> bool:
        """Tell whether a join can give an answer of the wanted shape."""
        if join is Join.SINGLE:
            return True
        return not self.listed and (not self.shaped or join in SHAPED_JOINS)


EVERYTHING = JoinRules()


def experts_asked(
    constraints: Constraints, available: int, *, default: int, most: int, rules: JoinRules
) -> int:
    """Tell how many experts the caller asks for by naming a join of several; 0: it names none.

    Args:
        constraints: The caller's wishes.
        available: Experts that may answer.
        default: Experts asked where the caller does not say.
        most: Experts that may be asked at all.
        rules: What holds for the question.

    Raises:
        InvalidRequestError: When the join cannot be had.
    """
    join = constraints.join
    if join is None or join is Join.SINGLE:
        return 0
    _refuse_unfit(join, rules)
    if constraints.pin:
        raise InvalidRequestError(
            f"join {join.value!r} takes several experts, and one is pinned; leave one of them out",
            field="constraints.join",
        )
    if available < 2:
        raise InvalidRequestError(
            f"join {join.value!r} takes two experts at least, and one may answer;"
            " leave the join out, or allow more experts",
            field="constraints.join",
        )
    wanted = constraints.max_experts
    if not wanted:
        return min(max(2, default), available, most)
    if wanted == 1 or wanted > min(available, most):
        raise InvalidRequestError(
            f"max_experts is {wanted}; with join {join.value!r} expected 2 to"
            f" {min(available, most)}",
            field="constraints.max_experts",
        )
    return wanted


def choose_join(
    selected: int, heard: int, constraints: Constraints, policy: Join, rules: JoinRules
) -> tuple[Join, JoinReason]:
    """Choose how answers are joined, and say why.

    Args:
        selected: How many experts were selected, ≥ 1.
        heard: How many of them are relevant enough to answer, ≥ 1.
        constraints: The caller's wishes, which `experts_asked` has passed.
        policy: The operator's join for questions that need several experts.
        rules: What holds for the question.
    """
    if constraints.join is not None:
        return constraints.join, JoinReason.ASKED
    if selected == 1:
        return Join.SINGLE, JoinReason.ONE_EXPERT
    if heard == 1:
        return Join.SINGLE, JoinReason.UNSURE
    if not rules.fits(policy):
        return Join.SINGLE, JoinReason.SHAPE
    if not rules.may_use(policy):
        return Join.SINGLE, JoinReason.NOT_ALLOWED
    return policy, JoinReason.SEVERAL_EXPERTS


def _refuse_unfit(join: Join, rules: JoinRules) -> None:
    if rules.fits(join):
        return
    wanted = "several answers, or log-probabilities," if rules.listed else "tools, or a form,"
    legal = [known.value for known in Join if rules.fits(known)]
    raise InvalidRequestError(
        f"join is {join.value!r}, and {wanted} are wanted, which can be had only by"
        f" {', '.join(legal)}; name one of these, or leave the join out",
        field="constraints.join",
    )
