"""The seam between what classifies texts and what decides with it.

The lexical model stands behind it, and so does whatever looks again where that is
unsure: a cascade of classifiers is a classifier.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from tame_router.routing.decision import Feature, Stage


class Opinion(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a classifier thinks of one text.

    Attributes:
        probabilities: Calibrated, of each label; they sum to 1.
        relevances: Probability that a label applies whatever the others do, in [0, 1].
        several: Whether it may need more than one expert.
        stage: Which part decided.
        language: Language that it was read as.
    """

    probabilities: list[float]
    relevances: list[float]
    several: bool
    stage: Stage
    language: str


class Classification(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a classifier thinks of some texts.

    Attributes:
        opinions: Of each text, n_texts of them.
        width: How many labels there are, n_labels.
        dtype: What their numbers were rounded to.
    """

    opinions: tuple[Opinion, ...]
    width: int
    dtype: type[np.floating] = np.float32

    @property
    def probabilities(self) -> NDArray[np.floating]:
        """Calibrated probabilities, shape (n_texts, n_labels); rows sum to 1."""
        return self._array([one.probabilities for one in self.opinions])

    @property
    def relevances(self) -> NDArray[np.floating]:
        """Relevances in [0, 1], shape (n_texts, n_labels)."""
        return self._array([one.relevances for one in self.opinions])

    @property
    def several(self) -> NDArray[np.bool_]:
        """Whether each text may need more than one expert, shape (n_texts,)."""
        return np.array([one.several for one in self.opinions], dtype=np.bool_)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Which part decided each text, n_texts of them."""
        return tuple(one.stage for one in self.opinions)

    def _array(self, rows: list[list[float]]) -> NDArray[np.floating]:
        return np.array(rows, dtype=self.dtype).reshape(len(rows), self.width)


def single(values: Iterable[float]) -> list[float]:
    """Round numbers to float32."""
    return array("f", values).tolist()


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
