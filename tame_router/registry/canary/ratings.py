"""Remembers which revision gave an answer while a canary runs, so that a rating finds it.

Only in memory: what was answered before a restart, or by another router, has no rating here.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

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
    """Remembers answers, and how often somebody has rated."""

    __slots__ = ("_answers", "_counts")

    def __init__(self) -> None:
        self._answers: OrderedDict[str, Rated] = OrderedDict()
        self._counts: OrderedDict[tuple[str, Rater], int] = OrderedDict()

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
        key = (rated.canary, rated.rater)
        count = self._counts.pop(key, 0)
        self._counts[key] = count + 1
        if len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)
        return rated if count < MOST_OF_RATER else None
