"""Stop strings, looked for in a text that arrives in pieces. Pure.

A server that looks for them itself holds back as many characters as the longest has, so that
what it gave out ends in the middle of a token: another server cannot go on from there as the
first would have. Where an answer may have to go on elsewhere they are looked for here instead,
and the search goes on over the cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_REMEMBERED: Final = 64
"""Lists of strings whose facts are remembered: an expert's are those of nearly all answers."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is asked of strings again and again: the strings, the longest, how they begin."""

    stops: tuple[str, ...]
    longest: int
    starts: frozenset[str]


@lru_cache(_REMEMBERED)
def _known(stops: tuple[str, ...]) -> _Known:
    some = tuple(filter(None, stops))
    return _Known(some, max(map(len, some), default=0), frozenset(stop[0] for stop in some))


class StopStrings:
    """Passes a text on up to the stop string that is complete first, which is left out.

    Holds back only what may be the beginning of one.

    Args:
        stops: The strings; empty ones are ignored.

    Attributes:
        found: A stop string was found: nothing of the text follows.
        end: Where it ends, in characters of the whole text; 0: none was found.
    """

    __slots__ = ("_held", "_longest", "_passed", "_starts", "_stops", "end", "found")

    def __init__(self, stops: Sequence[str]) -> None:
        known = _known(tuple(stops))
        self._stops, self._longest, self._starts = known.stops, known.longest, known.starts
        self._held = ""
        self._passed = 0
        self.found = False
        self.end = 0

    def feed(self, text: str) -> str:
        """Take new characters, and give those that are certain; may be empty."""
        if self.passes(text):
            return text
        text = self._held + text
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            end, at = min(found)
            self.found = True
            self.end = self._passed + end
            self._held = ""
            return text[:at]
        kept = self._kept(text)
        self._held = text[kept:]
        self._passed += kept
        return text[:kept]

    def passes(self, text: str) -> bool:
        """Take new characters where all are certain, as they are nearly always; else nothing."""
        if self._held or not self._starts.isdisjoint(text):
            return False
        self._passed += len(text)
        return True

    def rest(self) -> str:
        """Give what was held back, at the end of the text: no stop string came of it."""
        held, self._held = self._held, ""
        return held

    def _kept(self, text: str) -> int:
        """Tell from where on a text may be the beginning of a stop string."""
        first = max(0, len(text) - self._longest + 1)
        for at in range(first, len(text)):
            if text[at] in self._starts and self._may_begin(text[at:]):
                return at
        return len(text)

    def _may_begin(self, end: str) -> bool:
        return any(stop.startswith(end) for stop in self._stops)
