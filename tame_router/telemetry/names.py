"""Names that strangers send, kept few: a label's values never grow without bound."""

from collections.abc import Iterable
from typing import Final

OTHER: Final = "other"
"""Stands for every name that came too late."""


class Names:
    """Lets the first names through, and calls all further ones `other`.

    Args:
        limit: Names let through, ≥ 0.
        known: Names that are let through from the start; they count.
    """

    __slots__ = ("_limit", "_seen")

    def __init__(self, limit: int, known: Iterable[str] = ()) -> None:
        self._limit = limit
        self._seen = set(sorted(known)[:limit])

    def bounded(self, name: str) -> str:
        """Give the name, or `other`."""
        if name in self._seen:
            return name
        if len(self._seen) >= self._limit:
            return OTHER
        self._seen.add(name)
        return name
