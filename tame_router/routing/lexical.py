"""The fast classifier: a linear model over the features of a text.

Each feature that was learnt counts once, weighed by its rarity; the text's vector has
unit length, in which features never seen in training count too, so that a text of mostly
unknown words is told apart with little confidence. Inference is a dictionary look-up per
feature and one sum over rows; no part of it needs scikit-learn.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tame_router.routing.calibration import Calibration
from tame_router.routing.classifier import Classification, Opinion, single
from tame_router.routing.decision import Feature, Stage
from tame_router.routing.text import head_and_tail, language, normalise
from tame_router.routing.vocabulary import Vocabulary

LONGEST_TEXT_CHARS = 1_200
"""Characters of a text that are read: its head and its tail, three parts to one."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LexicalParameters:
    """What training found.

    Attributes:
        labels: Names of the experts, sorted.
        vocabulary: The features that were learnt, sorted.
        rarity: Inverse document frequency of each, ≥ 1, float32, shape (n_features,).
        unknown_rarity: What a feature that was never seen weighs in a text's length.
        weights: Float32, shape (n_features, n_labels).
        bias: Float32, shape (n_labels,).
        joint_weights: What each feature says for two experts at once, float32, shape
            (n_features,).
        joint_bias: What is added to that.
        joint_threshold: From which sum on a text may need two experts.
        calibration: What makes probabilities of its logits.
    """

    labels: tuple[str, ...]
    vocabulary: tuple[str, ...]
    rarity: FloatArray
    unknown_rarity: float
    weights: FloatArray
    bias: FloatArray
    joint_weights: FloatArray
    joint_bias: float
    joint_threshold: float
    calibration: Calibration


class LexicalClassifier:
    """Classify texts by their features.

    Args:
        parameters: What training found.
        digest: Digest of the artefact they came from.
    """

    def __init__(self, parameters: LexicalParameters, digest: str) -> None:
        self._parameters = parameters
        self._digest = digest
        self._vocabulary = Vocabulary(parameters.vocabulary)
        self._weighted: FloatArray = parameters.weights * parameters.rarity[:, None]
        # One gather then brings all sums that a text needs.
        joint = parameters.joint_weights * parameters.rarity
        self._rows: FloatArray = np.column_stack([self._weighted, joint, parameters.rarity**2])
        more = (np.float32(parameters.joint_bias), np.float32(0))
        self._bias: FloatArray = np.append(parameters.bias, more)
        (self._joint_threshold,) = single([parameters.joint_threshold])
        self._unknown_squared = parameters.unknown_rarity**2

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the experts, in the order of the columns; sorted."""
        return self._parameters.labels

    @property
    def digest(self) -> str:
        """SHA-256 of everything that was trained, in hexadecimal."""
        return self._digest

    @property
    def calibration(self) -> Calibration:
        """What makes probabilities of its logits."""
        return self._parameters.calibration

    def classify(self, texts: Sequence[str]) -> Classification:
        """Classify texts as they were written; none gives shape (0, n_labels)."""
        opinions = tuple([self._judge(text) for text in texts])
        return Classification(opinions=opinions, width=len(self.labels))

    def glance(self, texts: Sequence[str]) -> Classification:
        """Classify texts: it takes a fraction of a millisecond."""
        return self.classify(texts)

    def warm(self) -> bool:
        """Load nothing: everything is here."""
        return False

    def logits(self, text: str) -> FloatArray:
        """Give the logits of a text as it was written; float32, shape (n_labels,)."""
        return self._logits(_read(text))[:-1]

    def explain(self, text: str, label: str, limit: int) -> tuple[Feature, ...]:
        """List what weighed most on a label, the heaviest first.

        Of features that lie within one another only the heaviest is named.

        Args:
            text: As it was written.
            label: One of `labels`.
            limit: Most features to list.
        """
        reading = _read(text)
        found, unknown = self._vocabulary.look_up(reading)
        columns = list(found)
        vocabulary = self._parameters.vocabulary
        rows = self._weighted[columns]
        temperature = self._parameters.calibration.temperature(language(reading))
        scale = self._length(self._sums(columns), unknown) * temperature
        weights = (rows[:, self.labels.index(label)] - rows.mean(axis=1)) / scale
        named: list[Feature] = []
        for i in np.argsort(-np.abs(weights), kind="stable"):
            name = vocabulary[columns[i]]
            if len(named) == limit:
                break
            if not any(name in f.text or f.text in name for f in named):
                named.append(Feature(text=name, weight=float(weights[i])))
        return tuple(Feature(text=feature.text.strip(), weight=feature.weight) for feature in named)

    def _judge(self, text: str) -> Opinion:
        """Say what there is to say of one text."""
        reading = _read(text)
        *logits, joint = self._logits(reading).tolist()
        spoken = language(reading)
        calibration = self._parameters.calibration
        return Opinion(
            probabilities=single(calibration.shares(logits, spoken)),
            relevances=single(calibration.marks(logits)),
            several=joint >= self._joint_threshold,
            stage=Stage.FAST,
            language=spoken,
        )

    def _logits(self, reading: str) -> FloatArray:
        """Give the labels' logits, and behind them the one for two experts at once."""
        columns, unknown = self._vocabulary.look_up(reading)
        sums = self._sums(columns)
        logits: FloatArray = sums / self._length(sums, unknown) + self._bias
        return logits[:-1]

    def _sums(self, columns: Collection[int]) -> FloatArray:
        """Sum rows: the logits, and the squared length of the known features."""
        sums: FloatArray = np.add.reduce(
            self._rows.take(np.fromiter(columns, np.intp, len(columns)), axis=0)
        )
        return sums

    def _length(self, sums: FloatArray, unknown: int) -> float:
        """Give the length of a text's vector, > 0; features never seen count in it."""
        return math.sqrt(float(sums[-1]) + unknown * self._unknown_squared) or 1.0


def _read(text: str) -> str:
    return normalise(head_and_tail(text, LONGEST_TEXT_CHARS))
