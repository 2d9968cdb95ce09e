"""Pairs of lines that are almost the same, found without comparing every pair.

Lines are sets of tokens (pairs of neighbouring Chinese characters, words of other
scripts), similar by Jaccard's measure. Two sets that share at least a given part must
share one of their rarest tokens, so only lines that meet there are compared: exact, and
nearly linear in practice.

Source: Bayardo, Ma, Srikant, "Scaling Up All Pairs Similarity Search", WWW 2007.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tame_router.routing.text import CJK

THRESHOLD = 0.8
"""Similarity from which two lines are near-duplicates: one word changed out of nine or ten."""

_TOKEN = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")
_CHINESE = re.compile(f"[{CJK}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two lines that are almost the same.

    Attributes:
        first: Index of the earlier line.
        second: Index of the later line.
        similarity: Shared tokens over all tokens, in [threshold, 1].
    """

    first: int
    second: int
    similarity: float


def find_near_duplicates(readings: Sequence[str], threshold: float = THRESHOLD) -> list[Pair]:
    """List each line's most similar earlier line, where one is near enough.

    Args:
        readings: Normalised lines.
        threshold: Least similarity of a pair, in (0, 1].
    """
    bags = [bag_of_words(reading) for reading in readings]
    frequency = Counter(token for bag in bags for token in bag)
    meeting: defaultdict[str, list[int]] = defaultdict(list)
    pairs = []
    for here, bag in enumerate(bags):
        rare = sorted(bag, key=lambda token: (frequency[token], token))
        rare = rare[: len(bag) - math.ceil(threshold * len(bag)) + 1]
        candidates = {there for token in rare for there in meeting[token]}
        best = max(((similarity(bags[c], bag), -c) for c in candidates), default=(0.0, 0))
        if best[0] >= threshold:
            pairs.append(Pair(first=-best[1], second=here, similarity=best[0]))
        for token in rare:
            meeting[token].append(here)
    return pairs


def bag_of_words(reading: str) -> frozenset[str]:
    """Give the tokens of a normalised line; empty where it has no word."""
    return frozenset(_tokens(reading))


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Give the shared tokens of two lines over all their tokens, in [0, 1]; not both empty."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _tokens(reading: str) -> Iterator[str]:
    for run in _TOKEN.findall(reading):
        if len(run) == 1 or not _CHINESE.match(run):
            yield run
        else:
            yield from (run[i : i + 2] for i in range(len(run) - 1))
