"""A linear discriminant: where a new domain lies among embeddings that are known well.

Few lines say little about how a domain's embeddings spread, but the many lines of the
others do, and the spread is much the same: only the mean has to be learnt. At 20 lines this
found a fifth more of two held-out domains than logistic regression did.

Source: Fisher, "The Use of Multiple Measurements in Taxonomic Problems", 1936; shrinkage
towards the identity after Friedman, "Regularized Discriminant Analysis", JASA 1989.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHRINKAGE = 0.5
"""What is added to each variance, as a part of the mean variance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What the embeddings of the known domains are like.

    Attributes:
        mean: Float64, shape (dimension,).
        within: Shrunk covariance inside the domains, float64, shape (dimension, dimension).
        overall: Covariance of all lines, of the same shape.
    """

    mean: NDArray[np.float64]
    within: NDArray[np.float64]
    overall: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """What tells a domain from the background.

    Attributes:
        weights: Float64, shape (dimension,).
        bias: So that the middle between both means gives 0.
    """

    weights: NDArray[np.float64]
    bias: float

    def logits(self, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give logits, shape (n_lines,)."""
        logits: NDArray[np.float64] = embeddings @ self.weights + self.bias
        return logits


def measure_background(embeddings: NDArray[np.float32], domains: NDArray[np.intp]) -> Background:
    """Measure the known domains.

    Args:
        embeddings: Float32, shape (n_lines, dimension); at least one line.
        domains: Number of each line's domain, shape (n_lines,).
    """
    mean = embeddings.mean(axis=0, dtype=np.float64)
    overall = _covariance(embeddings - mean.astype(np.float32))
    within = overall.copy()
    for domain in np.unique(domains):
        mine = domains == domain
        away = embeddings[mine].mean(axis=0, dtype=np.float64) - mean
        within -= mine.mean() * np.outer(away, away)
    variance = float(np.trace(within)) / len(within) or 1.0
    within += SHRINKAGE * variance * np.eye(len(within))
    return Background(mean=mean, within=within, overall=overall)


def find_direction(
    background: Background, embeddings: NDArray[np.float32], *, spread: float
) -> Direction:
    """Find what tells new lines from the background.

    Args:
        background: What they are told from.
        embeddings: Of the new lines, float32, shape (n_lines, dimension); at least one.
        spread: Standard deviation that the logits of the background's lines get, > 0.
    """
    mean = embeddings.mean(axis=0, dtype=np.float64)
    weights = np.linalg.solve(background.within, mean - background.mean)
    deviation = max(float(weights @ background.overall @ weights), 0.0) ** 0.5 or 1.0
    weights *= spread / deviation
    return Direction(weights=weights, bias=float(-weights @ (mean + background.mean) / 2))


def _covariance(centred: NDArray[np.float32]) -> NDArray[np.float64]:
    covariance: NDArray[np.float64] = (centred.T @ centred).astype(np.float64) / len(centred)
    return covariance
