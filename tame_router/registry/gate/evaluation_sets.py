"""Which questions a revision is asked: its expert's own, and those of the others."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tame_router.catalog.evaluation import EvaluationCase
from tame_router.catalog.expert import Expert


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
        own: Those of the revision's own expert. They are the service's: those that an upload
            brings are added by `joined`, never put in their place.
        others: Those of the other experts, by name.
    """

    own: tuple[EvaluationCase, ...]
    others: Mapping[str, tuple[EvaluationCase, ...]] = field(default_factory=dict)

    def drawn(self, most: int, most_other: int, seed: int) -> "EvaluationSets":
        """Keep at most so many of each set, by lot; own cases that must pass are all kept.

        Args:
            most: Of the expert's own, ≥ 1.
            most_other: Of each other expert's, ≥ 0.
            seed: Of the lot; equal seeds draw equally.
        """
        duties = [number for number, case in enumerate(self.own) if case.must_pass]
        others = sorted(self.others.items())
        return EvaluationSets(
            own=_draw(self.own, most, seed, duties),
            others={name: _draw(cases, most_other, seed) for name, cases in others},
        )


def joined(
    known: Sequence[EvaluationCase], brought: Sequence[EvaluationCase]
) -> tuple[EvaluationCase, ...]:
    """Add the cases of an upload to those that the service has; of one id, the service's stays."""
    ids = {case.id for case in known}
    return (*known, *(case for case in brought if case.id not in ids))


def _draw(
    cases: tuple[EvaluationCase, ...], most: int, seed: int, always: Sequence[int] = ()
) -> tuple[EvaluationCase, ...]:
    if len(cases) <= most:
        return cases
    kept = set(always)
    rest = [number for number in range(len(cases)) if number not in kept]
    lot = random.Random(seed)  # noqa: S311 - a lot, no secret
    kept |= set(lot.sample(rest, max(0, most - len(kept))))
    return tuple(case for number, case in enumerate(cases) if number in kept)
