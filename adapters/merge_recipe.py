"""What a merge of two adapters is made of: the ways there are, and their values.

Takes and gives values; knows neither torch nor files.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.pair import DOMAINS


class RecipeError(ValueError):
    """Adapters cannot be merged this way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to make one adapter of two.

    Attributes:
        kind: PEFT's `combination_type`.
        weight: How much each adapter counts, where the caller does not say.
        density: Share of values that are kept, in (0, 1]; None: all, and no other is possible.
    """

    kind: str
    weight: float
    density: float | None = None


METHODS: Mapping[str, Method] = {
    "linear": Method(kind="linear", weight=0.5),
    "ties": Method(kind="ties", weight=0.5, density=0.5),
    "dare": Method(kind="dare_linear", weight=0.5, density=0.5),
    "svd": Method(kind="svd", weight=0.5),
    "cat": Method(kind="cat", weight=0.5),
}
"""By name. Linear, TIES and DARE work on the two factors of each adapter, and keep the rank;
SVD works on their product, cut to the same rank; cat is the exact sum, at twice the rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One merge.

    Attributes:
        domains: Whose adapters, in order; the first one's prompt leads.
        method: Name of the way.
        kind: PEFT's `combination_type`.
        weight: How much each adapter counts, > 0.
        density: Share of values that are kept, in (0, 1]; None: all.
        seed: Of what DARE leaves out.
    """

    domains: tuple[str, ...]
    method: str
    kind: str
    weight: float
    density: float | None
    seed: int

    @property
    def name(self) -> str:
        """Name of the folder: both domains and the way, with what differs from its default."""
        method = METHODS[self.method]
        parts = [self.method]
        if self.weight != method.weight:
            parts.append(f"w{self.weight:g}")
        if self.density != method.density:
            parts.append(f"d{self.density:g}")
        return f"{'+'.join(self.domains)}--{'-'.join(parts)}"


def plan(
    domains: Sequence[str], name: str, weight: float | None, density: float | None, seed: int
) -> Recipe:
    """Make a recipe of what the caller wants and the method's own values.

    Args:
        domains: Two different domains that have an adapter.
        name: One of `METHODS`.
        weight: How much each counts; None: the method's.
        density: Share of values that are kept; None: the method's.
        seed: Of what DARE leaves out.

    Raises:
        RecipeError: When the domains, the weight or the density cannot be used.
    """
    unknown = [domain for domain in domains if domain not in DOMAINS]
    if unknown or len(set(domains)) != 2:
        raise RecipeError(
            f"domains are {', '.join(domains)}; name two different ones of {', '.join(DOMAINS)}"
        )
    method = METHODS[name]
    chosen = method.weight if weight is None else weight
    if not (math.isfinite(chosen) and chosen > 0):
        raise RecipeError(f"weight is {chosen:g}; give a number above 0")
    if density is not None and not 0 < density <= 1:
        raise RecipeError(f"density is {density:g}; give a share above 0, at most 1")
    return Recipe(
        domains=tuple(domains),
        method=name,
        kind=method.kind,
        weight=chosen,
        density=method.density if method.density is None or density is None else density,
        seed=seed,
    )
