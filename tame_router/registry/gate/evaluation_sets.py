"""Which questions a revision is asked: its expert's own, some it brings, those of the others."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tame_router.catalog.evaluation import EvaluationCase
from tame_router.catalog.expert import Expert

MOST_BROUGHT: Final = 50
"""Cases of an upload that are asked beside the service's; more are drawn by lot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One side of the comparison.

    Attributes:
        expert: Whose prompt and sampling values it answers with.
        revision: Name of the adapter revision; empty: the base model without adapter.
    """

    expert: Expert
    revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSets:
    """The questions.

    Attributes:
        own: Those of the revision's own expert. They are the service's; only those of an expert
            that the upload itself makes are the upload's.
        brought: Those that an upload brings for an expert that is there. They are asked beside
            `own`, never in the place of any, and judged apart from it.
        others: Those of the other experts, by name.
    """

    own: tuple[EvaluationCase, ...]
    brought: tuple[EvaluationCase, ...] = ()
    others: Mapping[str, tuple[EvaluationCase, ...]] = field(default_factory=dict)

    def drawn(self, most: int, most_other: int, seed: int) -> "EvaluationSets":
        """Keep at most so many of each set, by lot; own cases that must pass before all others.

        Of the cases that an upload brings at most `MOST_BROUGHT` are kept: how many it brings
        changes neither which of the expert's own are asked, nor how long it takes.

        Args:
            most: Of the expert's own, ≥ 1.
            most_other: Of each other expert's, ≥ 0.
            seed: Of the lot; equal seeds draw equally.
        """
        others = sorted(self.others.items())
        return EvaluationSets(
            own=_draw(self.own, most, seed, duties=True),
            brought=_draw(self.brought, min(most, MOST_BROUGHT), seed),
            others={name: _draw(cases, most_other, seed) for name, cases in others},
        )


def added(
    known: Sequence[EvaluationCase], brought: Sequence[EvaluationCase]
) -> tuple[EvaluationCase, ...]:
    """Give those cases of an upload that are asked beside the service's.

    Of one id, the service's case stays. What must be passed is the service's to say, so no case
    that is brought must be.

    Args:
        known: The service's.
        brought: The upload's.
    """
    ids = {case.id for case in known}
    fresh = (case for case in brought if case.id not in ids)
    return tuple(case.model_copy(update={"must_pass": False}) for case in fresh)


def _draw(
    cases: tuple[EvaluationCase, ...], most: int, seed: int, *, duties: bool = False
) -> tuple[EvaluationCase, ...]:
    """Draw cases, in their order.

    Args:
        cases: Of these.
        most: At most so many, ≥ 0.
        seed: Of the lot.
        duties: Those that must pass come first, and the lot among them only where they are more.
    """
    if len(cases) <= most:
        return cases
    lot = random.Random(seed)  # noqa: S311 - a lot, no secret
    first = [n for n, case in enumerate(cases) if duties and case.must_pass]
    if len(first) > most:
        first = lot.sample(first, most)
    kept = set(first)
    rest = [number for number in range(len(cases)) if number not in kept]
    kept |= set(lot.sample(rest, most - len(kept)))
    return tuple(case for number, case in enumerate(cases) if number in kept)
