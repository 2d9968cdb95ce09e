"""The seam between what classifies texts and what decides with it.

The lexical model stands behind it, and so does whatever looks again where that is
unsure: a cascade of classifiers is a classifier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tame_router.routing.decision import Feature, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What a classifier thinks of some texts.

    Attributes:
        probabilities: Calibrated, float32, shape (n_texts, n_labels); rows sum to 1.
        relevances: Probability that a label applies whatever the others do, in [0, 1];
            float32, shape (n_texts, n_labels).
        several: Whether each text may need more than one expert, shape (n_texts,).
        stages: Which part decided each text, n_texts of them.
        languages: Language that each text was read as; empty: the classifier does not tell.
    """

    probabilities: NDArray[np.float32]
    relevances: NDArray[np.float32]
    several: NDArray[np.bool_]
    stages: tuple[Stage, ...]
    languages: tuple[str, ...] = ()


class Classifier(Protocol):
    """A trained model that tells experts apart. Safe to call from several threads."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the experts, in the order of the columns; sorted."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of everything that was trained, in hexadecimal."""
        ...

    def classify(self, texts: Sequence[str]) -> Classification:
        """Classify texts as they were written; none gives shape (0, n_labels)."""
        ...

    def glance(self, texts: Sequence[str]) -> Classification | None:
        """Classify texts where that takes no time worth waiting for; None: it would."""
        ...

    def warm(self) -> bool:
        """Load what is loaded with the first text; False: there was nothing to load."""
        ...

    def explain(self, text: str, label: str, limit: int) -> tuple[Feature, ...]:
        """List what weighed most on a label, the heaviest first.

        Args:
            text: As it was written.
            label: One of `labels`.
            limit: Most features to list.
        """
        ...
