"""Training of the fast classifier: which features there are, how rare, what they weigh."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tame_router.routing.features import extract
from tame_router.routing.lexical import LexicalParameters
from tame_router.teaching.linear import LinearFit, fit_sparse

LEAST_STANDING = 2
"""New lines in which a word has to stand that the router does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureCounts:
    """Which line has which feature.

    Attributes:
        ones: Sparse, shape (n_lines, n_features).
        features: Their names, sorted, shape (n_features,).
    """

    ones: Any
    features: NDArray[np.object_]


@dataclass(frozen=True, slots=True, kw_only=True)
class LexicalFit:
    """What was fitted.

    Attributes:
        known: Which features were learnt, shape (n_features,).
        rarity: Inverse document frequency of each, shape (n_features,).
        unknown_rarity: That of a feature that was never seen.
        linear: Weights of the known features, and bias.
    """

    known: NDArray[np.bool_]
    rarity: NDArray[np.float64]
    unknown_rarity: float
    linear: LinearFit

    def logits(self, ones: Any) -> NDArray[np.float64]:
        """Give the logits of lines, shape (n_lines, n_labels)."""
        return self.linear.logits(_weigh(ones, self.known, self.rarity, self.unknown_rarity))


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedLines:
    """Lines as a router reads them that has been trained, and some words it does not know.

    Attributes:
        vectors: Sparse, shape (n_lines, n_features).
        features: Names of the features, n_features of them.
        rarity: Inverse document frequency of each, shape (n_features,).
        columns: Where the router has each of them, −1 where it has not, shape (n_features,).
    """

    vectors: Any
    features: tuple[str, ...]
    rarity: NDArray[np.float64]
    columns: NDArray[np.intp]

    def logits(
        self, weights: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Give the router's logits, shape (n_lines, n_labels).

        Args:
            weights: The router's, shape (n_vocabulary, n_labels).
            bias: The router's, shape (n_labels,).
        """
        mine = np.where((self.columns >= 0)[:, None], weights[self.columns], 0.0)
        logits: NDArray[np.float64] = self.vectors @ mine + bias
        return logits


def count_features(readings: Sequence[str]) -> FeatureCounts:
    """Count the features of normalised lines."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(analyzer=extract, binary=True, dtype=np.float64)
    ones = vectorizer.fit_transform(readings).tocsr()
    ones.sort_indices()
    return FeatureCounts(ones=ones, features=vectorizer.get_feature_names_out())


def fit_lexical(
    ones: Any, truths: NDArray[np.bool_], *, strength: float, least_lines: int
) -> LexicalFit:
    """Fit the fast classifier.

    Args:
        ones: Which line has which feature, sparse, shape (n_lines, n_features).
        truths: Which labels apply, shape (n_lines, n_labels).
        strength: Inverse of regularisation, > 0.
        least_lines: Lines in which a feature must stand to be learnt, ≥ 1.
    """
    lines = ones.shape[0]
    standing = np.bincount(ones.indices, minlength=ones.shape[1])
    known = standing >= least_lines
    rarity = np.log((lines + 1) / (standing + 1)) + 1
    unknown_rarity = math.log(lines + 1) + 1
    vectors = _weigh(ones, known, rarity, unknown_rarity)
    return LexicalFit(
        known=known,
        rarity=rarity,
        unknown_rarity=unknown_rarity,
        linear=fit_sparse(vectors, truths, strength),
    )


def weigh_lines(
    readings: Sequence[str], new_lines: int, parameters: LexicalParameters, *, lines: int
) -> WeighedLines:
    """Weigh lines by the rarities of a trained router; words of new lines join the known ones.

    A new word stood in one old line at most, or it were known: its rarity follows from the
    new lines alone.

    Args:
        readings: Normalised lines, the new ones first.
        new_lines: How many are new.
        parameters: The router.
        lines: How many lines there are in all.
    """
    counts = count_features(readings)
    place = {feature: i for i, feature in enumerate(parameters.vocabulary)}
    columns = np.array([place.get(f, -1) for f in counts.features], dtype=np.intp)
    mine = counts.ones[:new_lines]
    standing = np.bincount(mine.indices, minlength=len(columns))
    known = (columns >= 0) | (standing >= LEAST_STANDING)
    fresh = np.log((lines + 1) / (standing + 1)) + 1
    rarity = np.where(columns >= 0, parameters.rarity[columns], fresh)
    return WeighedLines(
        vectors=_weigh(counts.ones, known, rarity, parameters.unknown_rarity),
        features=tuple(counts.features[known].tolist()),
        rarity=rarity[known],
        columns=columns[known],
    )


def _weigh(
    ones: Any, known: NDArray[np.bool_], rarity: NDArray[np.float64], unknown_rarity: float
) -> Any:
    """Give the lines' vectors over known features (sparse); unknown ones count in the length."""
    squared = np.where(known, rarity, unknown_rarity) ** 2
    rows = np.repeat(np.arange(ones.shape[0]), np.diff(ones.indptr))
    lengths = np.bincount(rows, weights=squared[ones.indices], minlength=ones.shape[0]) ** 0.5
    vectors = ones.copy()
    vectors.data = rarity[ones.indices] / lengths[rows]
    return vectors[:, known]
