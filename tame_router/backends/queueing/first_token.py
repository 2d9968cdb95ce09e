"""The times to the first token that a server needs when nobody waits there. Pure.

A longer prompt takes longer to read, so there is one such time for each size of prompt: the
shortest of the last minute. What a first token takes beyond it was spent waiting in the server.
"""

import math
from typing import Final

PERIOD_S: Final = 30.0
"""A shortest time holds for this period and the next."""

LEARNT: Final = 4
"""First tokens of one size that only teach: the first of all would always be the quickest."""

_SIZE_BITS: Final = 2  # prompts of one size differ by a factor of four at most
_SIZES: Final = 12


class _Shortest:
    """The shortest time of this period and of the one before."""

    __slots__ = ("before", "begun", "now", "seen")

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.now = self.before = math.inf
        self.seen = 0

    def take(self, now: float, first_s: float) -> float:
        """Take a time in, and give the shortest."""
        if now - self.begun >= PERIOD_S:
            late = now - self.begun >= 2 * PERIOD_S
            self.before = math.inf if late else self.now
            self.begun, self.now = now, math.inf
        if self.before == self.now == math.inf:
            self.seen = 0
        self.seen += 1
        self.now = min(self.now, first_s)
        return min(self.now, self.before)


class FirstTokens:
    """Tells of a time to the first token how much of it was waiting."""

    __slots__ = ("_sizes",)

    def __init__(self) -> None:
        self._sizes: list[_Shortest | None] = [None] * _SIZES

    def waited_s(self, now: float, prompt_chars: int, first_s: float) -> float | None:
        """Take a time in, and tell how much of it was spent waiting in the server.

        Args:
            now: When the token came; never before that of an earlier call.
            prompt_chars: Length of the prompt.
            first_s: Time from asking the server to the token.

        Returns:
            Seconds, ≥ 0; None where too little is known of prompts of that size.
        """
        size = min(prompt_chars.bit_length() // _SIZE_BITS, _SIZES - 1)
        shortest = self._sizes[size]
        if shortest is None:
            shortest = self._sizes[size] = _Shortest(now)
        least_s = shortest.take(now, first_s)
        return None if shortest.seen <= LEARNT else first_s - least_s
