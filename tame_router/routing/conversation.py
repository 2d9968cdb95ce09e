"""What earlier turns say about the last one.

A turn that cannot stand alone (「那罰則呢？」, "and what about the deadline?") leans on
the subject before it; one that can, moves the subject. Each turn's evidence is added to
what is left of the belief before it, in log-probabilities; how much is left follows from
how the turn is worded and how little it says by itself. Pure, and the only state is the
turns that are given.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tame_router.routing.calibration import softmax
from tame_router.routing.text import CJK, normalise

FLOOR = 0.01
"""Least probability a turn leaves any expert, so that no belief outlives all evidence."""

LONG_TURN_UNITS = 14
"""Words (or pairs of Chinese characters) from which a turn is no fragment."""

_CHINESE_OPENERS = (
    "那|這|它|他|她|該|此|上述|前述|如果|要是|萬一|換成|改成|還有|另外|再|所以|然後|可是|但"
    "|不過|同樣|一樣|為什麼|怎麼會|真的|多久|多少|可以再|請再|繼續|舉例|例如"
)
_ENGLISH_OPENERS = (
    "and|or|but|so|then|also|what about|how about|what if|why|in that case|same|it|its|that|this"
    "|those|these|they|he|she|ok|okay|yes|no|go on|continue|more|again|is it|is that|does it|can it"
    "|do they|are they|how long|how much|how many|for example|which one|please explain"
)
_OPENER = re.compile(rf"(?:{_CHINESE_OPENERS})|(?:{_ENGLISH_OPENERS})\b")
_REFERENT = re.compile(
    "它|這個|那個|這種|那種|這樣|那樣|這些|那些|上述|上面|前面|剛才|剛剛|前者|後者|你說"
    r"|\b(?:it|its|that|this|those|these|they|them|he|him|she|her|one|ones|there|above|former"
    r"|latter|you said|you mentioned)\b"
)
_ELLIPSIS = re.compile(r"呢[?!。~\s]*$")
_UNITS = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One thing the user said.

    Attributes:
        text: As it was written.
        probabilities: What the classifier thinks of it alone, float, shape (n_labels,).
    """

    text: str
    probabilities: NDArray[np.floating]


def believe(turns: Sequence[Turn]) -> NDArray[np.float64]:
    """Combine a user's turns into probabilities for the last one, shape (n_labels,).

    Args:
        turns: At least one, oldest first.
    """
    first = turns[0].probabilities.astype(np.float64)
    belief: NDArray[np.float64] = first / first.sum()
    for turn in turns[1:]:
        belief = softmax(_evidence(turn.probabilities) + reliance(turn) * _evidence(belief))
    return belief


def reliance(turn: Turn) -> float:
    """Say how much a turn leans on those before it, in [0, 1).

    Wording decides first: how it opens, what it refers to, how short it is. What is worded
    like a follow-up leans less when it names a subject of its own, and what the classifier
    can make nothing of leans even when it is worded as a whole question.
    """
    doubt = _doubt(turn.probabilities)
    return _wording(normalise(turn.text)) * (0.4 + 0.55 * doubt) + 0.1 * doubt**2


def _wording(reading: str) -> float:
    """Say how much a turn is worded like a follow-up, in [0, 1)."""
    characters = sum(2 if not _is_chinese(u) else 1 for u in _UNITS.findall(reading)) / 2
    shortness = max(0.0, 1 - characters / LONG_TURN_UNITS)
    signs = (
        bool(_OPENER.match(reading)),
        bool(_REFERENT.search(reading)),
        bool(_ELLIPSIS.search(reading)),
    )
    return min(0.95, 0.35 * sum(signs) + 0.6 * shortness)


def _is_chinese(unit: str) -> bool:
    return re.match(f"[{CJK}]", unit) is not None


def _doubt(probabilities: NDArray[np.floating]) -> float:
    """Give the entropy of probabilities as a share of the largest there is, in [0, 1]."""
    p = np.maximum(np.asarray(probabilities, dtype=np.float64), 1e-12)
    return float(-(p * np.log(p)).sum() / np.log(len(p)))


def _evidence(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.log(np.maximum(probabilities, FLOOR)).astype(np.float64)
    return logs
