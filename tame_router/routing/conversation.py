"""What earlier turns say about the last one.

A turn that cannot stand alone (「那罰則呢？」, "and what about the deadline?") leans on
the subject before it; one that can, moves the subject. Each turn's evidence is added to
what is left of the belief before it, in log-probabilities: how much of either counts
follows from how the turn is worded and how sure the classifier is of it alone. Pure, and
the only state is the turns that are given.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tame_router.routing.calibration import softmax
from tame_router.routing.wording import Wording, read_wording

FLOOR = 0.01
"""Least probability a turn leaves any expert, so that no belief outlives all evidence."""

LEANING = 0.5
"""Share of the belief before it from which a turn counts as leaning on it."""

WHOLE_QUESTION_WORDS = 4
"""Words of a subject from which a turn without a sign of pointing back stands alone."""

LEAST_EVIDENCE = 0.1
"""What counts of a classifier's opinion on a turn that names no subject."""

EVIDENCE_PER_WORD = 0.8
EVIDENCE_PER_VAGUE_WORD = 0.2
"""What each word of a subject adds to that; the second where the fallback is most probable.

A fragment that sounds like a domain is of that domain. One that sounds like none may be a
change of subject, or as well just a fragment.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One thing the user said.

    Attributes:
        text: As it was written.
        probabilities: What the classifier thinks of it alone, float, shape (n_labels,).
        relevances: Which labels it finds in it, in [0, 1], of the same shape.
        several: Whether it may need more than one label.
    """

    text: str
    probabilities: NDArray[np.floating]
    relevances: NDArray[np.floating]
    several: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What a conversation says about its last turn.

    Attributes:
        probabilities: Float64, shape (n_labels,); they sum to 1.
        relevances: Float64, of the same shape, in [0, 1].
        several: Whether it may need more than one label.
    """

    probabilities: NDArray[np.float64]
    relevances: NDArray[np.float64]
    several: bool


def believe(turns: Sequence[Turn], fallback: int | None = None) -> Belief:
    """Combine a user's turns into a belief about the last one.

    Args:
        turns: At least one, oldest first.
        fallback: Column of the expert for what belongs to no domain; None: there is none.
    """
    first = turns[0].probabilities.astype(np.float64)
    belief: NDArray[np.float64] = first / np.add.reduce(first)
    relevances = turns[0].relevances.astype(np.float64)
    several = turns[0].several
    for turn in turns[1:]:
        wording = read_wording(turn.text)
        vague = int(turn.probabilities.argmax()) == fallback
        evidence = weight(wording, vague=vague) * _logs(turn.probabilities)
        kept = reliance(wording, _doubt(turn.probabilities))
        belief = softmax(evidence + kept * _logs(belief))
        # A turn that leans on the one before it is about as many domains as that.
        relevances = kept * relevances + (1 - kept) * turn.relevances
        several = turn.several or (several and kept >= LEANING)
    return Belief(probabilities=belief, relevances=relevances, several=several)


def weight(wording: Wording, *, vague: bool) -> float:
    """Say how much a turn's own evidence counts beside a belief before it, in (0, 1].

    Args:
        wording: How the turn is worded.
        vague: The classifier finds it most probably of no domain.
    """
    per_word = EVIDENCE_PER_VAGUE_WORD if vague else EVIDENCE_PER_WORD
    return min(1.0, LEAST_EVIDENCE + wording.subject_words * per_word)


def reliance(wording: Wording, doubt: float) -> float:
    """Say how much of the belief before it a turn keeps, in [0, 1).

    A turn without a subject keeps nearly all. One with a subject keeps the less the more
    it says, the fewer signs point back, and the surer the classifier is.

    Args:
        wording: How the turn is worded.
        doubt: How unsure the classifier is of the turn alone, in [0, 1].
    """
    missing = max(0.0, 1 - wording.subject_words / WHOLE_QUESTION_WORDS)
    pointing = min(1.0, 0.45 * wording.signs + missing)
    return 0.95 * pointing * (0.6 + 0.4 * max(doubt, missing)) + 0.04 * doubt


def _doubt(probabilities: NDArray[np.floating]) -> float:
    """Give the entropy of probabilities as a share of the largest there is, in [0, 1]."""
    if len(probabilities) == 1:
        return 0.0
    p = np.maximum(np.asarray(probabilities, dtype=np.float64), 1e-12)
    return min(1.0, float(-(p * np.log(p)).sum() / np.log(len(p))))


def _logs(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.log(np.maximum(probabilities, FLOOR)).astype(np.float64)
    return logs
