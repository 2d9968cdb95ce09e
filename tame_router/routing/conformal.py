"""Split-conformal sets: the experts that cannot be ruled out at a stated coverage.

On lines that the classifier was not trained on, the right expert's probability is at least
`least_probability` in the stated share of cases. The experts of a question that reach it
are its conformal set: it holds the right one in that share of cases, as long as questions
are like those lines.

Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005; the score
is that of Sadinle, Lei, Wasserman, "Least Ambiguous Set-Valued Classifiers", JASA 2019.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tame_router.routing.calibration import ANY_LANGUAGE, LEAST_LINES

STEPS = 100
"""Coverages that are told apart: hundredths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformalLevels:
    """What held-out lines said of the right experts' probabilities.

    Attributes:
        levels: By language, with one for `calibration.ANY_LANGUAGE`: for coverages of 0, 1,
            … 100 hundredths, the probability that the right expert reached; falling, in
            [0, 1], 0 where there were too few lines to state that coverage.
    """

    levels: Mapping[str, tuple[float, ...]]

    def least_probability(self, language: str, coverage: float) -> float:
        """Give the probability from which an expert belongs to the conformal set, in [0, 1].

        Args:
            language: Of the question.
            coverage: Share of questions whose set is to hold the right expert, in [0, 1].
        """
        levels = self.levels.get(language, self.levels[ANY_LANGUAGE])
        return levels[math.ceil(round(coverage * STEPS, 6))]


def fit_levels(
    probabilities: NDArray[np.floating], answers: NDArray[np.intp], languages: Sequence[str]
) -> ConformalLevels:
    """Read the levels off held-out lines.

    Args:
        probabilities: Calibrated, shape (n_lines, n_labels).
        answers: Column of the right label, shape (n_lines,).
        languages: Language of each line.
    """
    right = np.asarray(probabilities[np.arange(len(answers)), answers], dtype=np.float64)
    spoken = np.array(languages)
    levels = {ANY_LANGUAGE: _levels(right)}
    for language in sorted(set(languages)):
        mine = right[spoken == language]
        if len(mine) >= LEAST_LINES:
            levels[language] = _levels(mine)
    return ConformalLevels(levels=levels)


def _levels(right: NDArray[np.float64]) -> tuple[float, ...]:
    falling = -np.sort(-right)
    lines = len(falling)
    # The (n + 1)th question is exchangeable with the n lines: one more counts.
    ranks = [math.ceil((lines + 1) * step / STEPS) for step in range(STEPS + 1)]
    reached = [
        1.0 if rank == 0 else float(falling[rank - 1]) if rank <= lines else 0.0 for rank in ranks
    ]
    return tuple(round(level, 6) for level in reached)
