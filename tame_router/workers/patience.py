"""How long a worker that ended by itself is left away before another takes its place. Pure."""

from dataclasses import dataclass, replace
from typing import Final

FIRST_S: Final = 0.5
LONGEST_S: Final = 30.0
SETTLED_S: Final = 60.0
"""Time after which a worker counts as one that works."""


@dataclass(frozen=True, slots=True)
class Patience:
    """What has been seen of one place.

    Attributes:
        wait_s: Time until the next worker is started in it.
    """

    wait_s: float = FIRST_S

    def ended(self, lived_s: float) -> "Patience":
        """Give what holds after a worker that lived so long: twice the wait, or the first one."""
        if lived_s >= SETTLED_S:
            return Patience()
        return replace(self, wait_s=min(self.wait_s * 2, LONGEST_S))
