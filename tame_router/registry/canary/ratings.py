"""Remembers which revision gave an answer while a canary runs, so that a rating finds it.

Only in memory: what was answered before a restart, or by another router, has no rating here.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, TypeVar

REMEMBERED: Final = 10_000
"""Answers, and raters, that are remembered, the latest."""

MOST_OF_RATER: Final = 3
"""Bad ratings of one person about one canary that count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rater:
    """Who was given an answer.

    Attributes:
        tenant: The tenant.
        subject: Which key, certificate or person of it.
        user: The caller's own name for the person that asked; empty: it names none.
    """

    tenant: str
    subject: str
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """An answer that may be rated.

    Attributes:
        expert: Who answered.
        revision: By which revision.
        canary: The canary at that time.
        share: Its share of the conversations then, in (0, 1).
        rater: Who was given the answer.
    """

    expert: str
    revision: str
    canary: str
    share: float
    rater: Rater


class Ratings:
    """Remembers answers, and how often somebody has rated.

    Args:
        most_of_key: Bad ratings by one key, certificate or person about one canary that count:
            callers invent the users that they name, and none of them invents a key.
    """

    __slots__ = ("_answers", "_counts", "_keys", "_most_of_key")

    def __init__(self, most_of_key: int) -> None:
        self._most_of_key = most_of_key
        self._answers: OrderedDict[str, Rated] = OrderedDict()
        self._counts: OrderedDict[tuple[str, Rater], int] = OrderedDict()
        self._keys: OrderedDict[tuple[str, str, str], int] = OrderedDict()

    def remember(self, answer_id: str, rated: Rated) -> None:
        """Remember an answer; the oldest is forgotten."""
        self._answers[answer_id] = rated
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)

    def take(self, answer_id: str, tenant: str, expert: str) -> Rated | None:
        """Give the answer that a bad rating is about, where it counts: once, and a few of each.

        Args:
            answer_id: The answer.
            tenant: Who rates it; another than was given the answer has no say.
            expert: Who should have answered; where that is somebody else, the choice was wrong,
                and the revision is not to blame.
        """
        rated = self._answers.get(answer_id)
        if rated is None or (rated.rater.tenant, rated.expert) != (tenant, expert):
            return None
        del self._answers[answer_id]
        if _counted(self._counts, (rated.canary, rated.rater)) > MOST_OF_RATER:
            return None
        key = (rated.canary, rated.rater.tenant, rated.rater.subject)
        return rated if _counted(self._keys, key) <= self._most_of_key else None


_Key = TypeVar("_Key")


def _counted(counts: OrderedDict[_Key, int], key: _Key) -> int:
    """Count a key, and give how often it has been; the one longest not counted is forgotten."""
    counts[key] = counts.pop(key, 0) + 1
    if len(counts) > REMEMBERED:
        counts.popitem(last=False)
    return counts[key]
