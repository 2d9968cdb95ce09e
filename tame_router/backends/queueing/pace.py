"""How fast a queue moves, by how long answers hold their places. Pure."""

from typing import Final

FIRST_S: Final = 1.0
"""What an answer is taken to cost before one has ended."""

_MEMORY: Final = 1 / 16
_TENANTS: Final = 1_024


class Pace:
    """The mean time that answers hold a place, of all and of each tenant."""

    def __init__(self) -> None:
        self._mean_s: float | None = None
        self._tenants: dict[str, float] = {}

    def ended(self, tenant: str, held_s: float, *, failed: bool = False) -> None:
        """Take note that an answer has given its place back.

        Args:
            tenant: Whose it was.
            held_s: How long it had it.
            failed: It failed before its first word. A server that refuses a thousand answers in a
                second does not write them that fast: such times count only where they are long.
        """
        if failed and (self._mean_s is None or held_s < self._mean_s):
            return
        self._mean_s = _moved(self._mean_s, held_s)
        if tenant not in self._tenants and len(self._tenants) >= _TENANTS:
            self._tenants.clear()  # they are learnt anew with their next answers
        self._tenants[tenant] = _moved(self._tenants.get(tenant), held_s)

    def cost_s(self, tenant: str) -> float:
        """Tell for how long an answer of a tenant is going to hold its place, > 0."""
        known = self._tenants.get(tenant, self._mean_s)
        return FIRST_S if known is None else max(known, 1e-6)

    def wait_s(self, ahead: int, limit: int) -> float | None:
        """Tell how long it takes until it is one's turn.

        Args:
            ahead: How many are before.
            limit: Places there are.

        Returns:
            Seconds; None where no answer has ended yet.
        """
        return None if self._mean_s is None else (ahead + 1) * self._mean_s / limit


def _moved(mean: float | None, value: float) -> float:
    return value if mean is None else mean + _MEMORY * (value - mean)
