"""The cascade: a fast classifier decides, and an encoder looks again where it is unsure.

It is unsure where no label is probable enough, and where the text may need two experts.

Where it looks, its evidence is added to what the fast classifier found, logit by logit:
words and meaning err on different questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tame_router.routing.calibration import Calibration
from tame_router.routing.classifier import Classification, Opinion, single
from tame_router.routing.decision import Feature, Stage
from tame_router.routing.encoder import Encoder, encoder_reading
from tame_router.routing.lexical import LexicalClassifier
from tame_router.routing.text import language, normalise

FloatArray = NDArray[np.float32]

MEANING = "(meaning)"
"""Stands among the features for what the encoder found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseParameters:
    """What training found of embeddings.

    Attributes:
        encoder_digest: The encoder the embeddings came from.
        weights: Float32, shape (dimension, n_labels); what the lexical logits are worth
            beside them is already in it.
        bias: Float32, shape (n_labels,).
        calibration: What makes probabilities of the sum of both logits, and relevances of
            what embeddings say alone: words that speak for one domain drown a second.
        confidence: Probability of the fast classifier's best label from which the encoder
            does not look again, in [0, 1].
    """

    encoder_digest: str
    weights: FloatArray
    bias: FloatArray
    calibration: Calibration
    confidence: float


class Cascade:
    """Classify texts by their words first, and by their meaning where that is not enough.

    Args:
        fast: The fast classifier.
        encoder: Embeds texts.
        parameters: What training found of this encoder's embeddings.
    """

    def __init__(
        self, fast: LexicalClassifier, encoder: Encoder, parameters: DenseParameters
    ) -> None:
        self._fast = fast
        self._encoder = encoder
        self._parameters = parameters
        (self._confidence,) = single([parameters.confidence])  # as what it is compared with

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the experts, in the order of the columns; sorted."""
        return self._fast.labels

    @property
    def digest(self) -> str:
        """SHA-256 of everything that was trained, in hexadecimal."""
        return self._fast.digest

    def classify(self, texts: Sequence[str]) -> Classification:
        """Classify texts as they were written; none gives shape (0, n_labels)."""
        found = self._fast.classify(texts)
        opinions = [
            self._look_again(text, first) if self._unsure(first) else first
            for text, first in zip(texts, found.opinions, strict=True)
        ]
        return Classification(opinions=tuple(opinions), width=found.width)

    def glance(self, texts: Sequence[str]) -> Classification | None:
        """Classify texts by their words alone; None where the encoder has to look again."""
        found = self._fast.classify(texts)
        for opinion in found.opinions:
            if self._unsure(opinion):
                return None
        return found

    def warm(self) -> bool:
        """Load the encoder."""
        self._encoder.embed([""])
        return True

    def explain(self, text: str, label: str, limit: int) -> tuple[Feature, ...]:
        """List what weighed most on a label, the heaviest first; the encoder counts as one.

        Args:
            text: As it was written.
            label: One of `labels`.
            limit: Most features to list.
        """
        if not self._unsure(self._fast.classify([text]).opinions[0]):
            return self._fast.explain(text, label, limit)
        spoken = language(normalise(text))
        heat = self._parameters.calibration.temperature(spoken)
        cooler = self._fast.calibration.temperature(spoken) / heat
        words = [
            Feature(text=f.text, weight=f.weight * cooler)
            for f in self._fast.explain(text, label, limit)
        ]
        evidence = self._evidence(text)
        above_mean = float(evidence[self.labels.index(label)] - evidence.mean()) / heat
        features = [*words, Feature(text=MEANING, weight=above_mean)]
        features.sort(key=lambda feature: -abs(feature.weight))
        return tuple(features[:limit])

    def _unsure(self, first: Opinion) -> bool:
        """Tell whether the encoder has to look again."""
        return first.several or max(first.probabilities) < self._confidence

    def _look_again(self, text: str, first: Opinion) -> Opinion:
        evidence = self._evidence(text)
        spoken = language(normalise(text))
        calibration = self._parameters.calibration
        logits = self._fast.logits(text) + evidence
        return Opinion(
            probabilities=single(calibration.probabilities(logits, spoken)),
            relevances=single(calibration.relevances(evidence)),
            several=True,  # it can tell: by its relevances
            stage=Stage.ENCODER,
            language=first.language,
        )

    def _evidence(self, text: str) -> FloatArray:
        (embedding,) = self._encoder.embed([encoder_reading(text)])
        evidence: FloatArray = embedding @ self._parameters.weights + self._parameters.bias
        return evidence
