"""How long the first words of a pool's answers usually take, by the size of the prompt. Pure.

What is usual is the middle of the last answers of all replicas: one that is slow makes its own
answers late, and not what is usual. Times are lengths in seconds.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from typing import Final

KEPT: Final = 128
"""Times kept of each size; the oldest is forgotten first."""

LEARNT: Final = 8
"""Times of one size that only teach."""

NO_MATTER_S: Final = 0.05
"""Added to both of two times that are compared: what differs by less is as good as the same."""

CLEARLY_LATE: Final = 4.0
"""Times the usual time, from which words are late whatever share of the others is."""

_SIZE_BITS: Final = 2  # prompts of one size differ by a factor of four at most
_SIZES: Final = 12


class _Recent:
    """The last times of one size, in the order in which they came, and sorted."""

    __slots__ = ("came", "ordered")

    def __init__(self) -> None:
        self.came: deque[float] = deque()
        self.ordered: list[float] = []

    def take(self, first_s: float) -> None:
        """Take a time in, and forget the oldest where there are too many."""
        self.came.append(first_s)
        insort(self.ordered, first_s)
        if len(self.came) > KEPT:
            del self.ordered[bisect_left(self.ordered, self.came.popleft())]


class UsualTimes:
    """Tells of a time to the first word how late it is, and when one is late."""

    __slots__ = ("_sizes",)

    def __init__(self) -> None:
        self._sizes: list[_Recent | None] = [None] * _SIZES

    def take(self, prompt_chars: int, first_s: float) -> float | None:
        """Take a time in, and tell how late the words came.

        Args:
            prompt_chars: Length of the prompt.
            first_s: Time from asking the replica to its first words, ≥ 0.

        Returns:
            How often the usual time is doubled, negative for words that came early; None where
            too little is known of prompts of that size.
        """
        size = _size(prompt_chars)
        recent = self._sizes[size]
        if recent is None:
            recent = self._sizes[size] = _Recent()
        usual_s = self.quantile(prompt_chars, 0.5)
        recent.take(first_s)
        if usual_s is None:
            return None
        return math.log2((first_s + NO_MATTER_S) / (usual_s + NO_MATTER_S))

    def late_s(self, prompt_chars: int, share: float) -> float | None:
        """Give the time from which first words are late.

        Args:
            prompt_chars: Length of the prompt.
            share: Of recent ones, in [0, 1), that came sooner. Where many were late it is not they
                who say what is: four times the usual time is late.

        Returns:
            Seconds; None where too little is known of prompts of that size.
        """
        usual_s, most_s = self.quantile(prompt_chars, 0.5), self.quantile(prompt_chars, share)
        if usual_s is None or most_s is None:
            return None
        return min(most_s, CLEARLY_LATE * usual_s)

    def quantile(self, prompt_chars: int, share: float) -> float | None:
        """Give the time within which that share of the first words came.

        Args:
            prompt_chars: Length of the prompt.
            share: In [0, 1).

        Returns:
            Seconds; None where too little is known of prompts of that size.
        """
        recent = self._sizes[_size(prompt_chars)]
        if recent is None or len(recent.ordered) < LEARNT:
            return None
        return recent.ordered[int(share * len(recent.ordered))]


def _size(prompt_chars: int) -> int:
    return min(prompt_chars.bit_length() // _SIZE_BITS, _SIZES - 1)
