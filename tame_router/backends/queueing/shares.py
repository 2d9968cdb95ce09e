"""Who has how many of the places, and what would be a fair share of them. Pure."""

from collections.abc import Mapping


class Shares:
    """Counts the places that tenants have.

    Args:
        weights: Shares of tenants, by name, > 0; who is not named has 1.
    """

    __slots__ = ("_held", "_weight", "_weights")

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._held: dict[str, int] = {}
        self._weight = 0.0

    def weight(self, tenant: str) -> float:
        """Give the weight of a tenant."""
        return self._weights.get(tenant, 1.0)

    def take(self, tenant: str) -> None:
        """Take note that a tenant has one more."""
        if tenant not in self._held:
            self._weight += self.weight(tenant)
        self._held[tenant] = self._held.get(tenant, 0) + 1

    def give_back(self, tenant: str) -> None:
        """Take note that it has one less."""
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]
            self._weight = self._weight - self.weight(tenant) if self._held else 0.0

    def used_up(self, tenant: str, *, waiting: int, limit: int) -> bool:
        """Tell whether a tenant has, or waits for, its share of all places.

        Args:
            tenant: Who.
            waiting: How many of its answers wait.
            limit: Places there are; they are shared among those who have any.
        """
        held = self._held.get(tenant, 0)
        weight = self.weight(tenant)
        together = self._weight if held else self._weight + weight
        return held + waiting >= limit * weight / together
