"""Decisions as arrays, for measures that are sums over questions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tame_router.evaluation.outcome import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Decisions about questions that belong to one expert each; a row a question.

    Attributes:
        experts: Names of the columns; sorted.
        domains: Column of the right expert, intp, shape (n_questions,).
        leads: Column of the expert that answers, intp, shape (n_questions,).
        probabilities: float64, shape (n_questions, n_experts); rows sum to 1.
    """

    experts: tuple[str, ...]
    domains: NDArray[np.intp]
    leads: NDArray[np.intp]
    probabilities: NDArray[np.float64]

    @property
    def size(self) -> int:
        """Number of questions."""
        return len(self.domains)

    @property
    def confidences(self) -> NDArray[np.float64]:
        """Highest probability of each row, shape (n_questions,)."""
        top: NDArray[np.float64] = self.probabilities.max(axis=1)
        return top

    @property
    def top_right(self) -> NDArray[np.bool_]:
        """Whether the most probable expert is the right one, shape (n_questions,)."""
        right: NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.domains
        return right


def tabulate(trials: Sequence[Trial], experts: Sequence[str] = ()) -> Table:
    """Write trials as arrays; an expert that an outcome does not name has probability 0.

    Args:
        trials: Of questions that belong to one expert each.
        experts: Columns there shall be besides those that the trials name.
    """
    names = set(experts)
    for trial in trials:
        names |= {trial.question.domains[0], trial.outcome.lead}
        names |= {p.expert for p in trial.outcome.probabilities}
    column = {name: i for i, name in enumerate(sorted(names))}
    probabilities = np.zeros((len(trials), len(column)))
    for row, trial in enumerate(trials):
        for p in trial.outcome.probabilities:
            probabilities[row, column[p.expert]] = p.probability
    return Table(
        experts=tuple(column),
        domains=np.array([column[t.question.domains[0]] for t in trials], dtype=np.intp),
        leads=np.array([column[t.outcome.lead] for t in trials], dtype=np.intp),
        probabilities=probabilities,
    )
