"""Training: from teaching lines to an artefact, the same one every time.

A linear model is fitted to the lines' features; parts of the lines are held out in turn
to calibrate it and to say how often it is right. Scikit-learn is imported here, inside
functions, and nowhere else.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tame_router.errors import CatalogError
from tame_router.routing.artefact import Artefact, Hyperparameters, Measures
from tame_router.routing.calibration import (
    ANY_LANGUAGE,
    expected_calibration_error,
    fit_temperatures,
    softmax,
)
from tame_router.routing.features import extract
from tame_router.routing.lexical import FloatArray, LexicalParameters
from tame_router.routing.text import language
from tame_router.teaching.corpus import Corpus
from tame_router.teaching.folds import assign_folds

LEAST_LINES = 2
"""Lines an expert needs: one to learn from while the other is held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far training is.

    Attributes:
        done: Steps that are finished.
        steps: Steps in all.
        message: What was just finished.
    """

    done: int
    steps: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitted:
    known: NDArray[np.bool_]
    rarity: NDArray[np.float64]
    unknown_rarity: float
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]


def train(
    corpus: Corpus,
    *,
    created: datetime,
    hyperparameters: Hyperparameters | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Artefact:
    """Train the router.

    Args:
        corpus: The teaching lines.
        created: The time now, written into the artefact.
        hyperparameters: What to train with; None: the defaults.
        progress: Called after each step.

    Raises:
        CatalogError: When there are fewer than two experts, or one has too few lines.
    """
    refuse_untrainable(corpus)
    told = hyperparameters or Hyperparameters()
    steps = told.folds + 2
    counts, features = _count(corpus)
    progress(Progress(done=1, steps=steps, message=f"{len(features):,} features found"))
    answers = np.array([corpus.experts.index(u.expert) for u in corpus.utterances], dtype=np.intp)
    folds = assign_folds([u.expert for u in corpus.utterances], told.folds, told.block_lines)
    logits = np.zeros((len(answers), len(corpus.experts)))
    for fold in range(told.folds):
        held_out = folds == fold
        fitted = _fit(counts[~held_out], answers[~held_out], told)
        vectors = _weigh(counts[held_out], fitted.known, fitted.rarity, fitted.unknown_rarity)
        logits[held_out] = vectors @ fitted.weights + fitted.bias
        message = f"part {fold + 1} of {told.folds} held out"
        progress(Progress(done=fold + 2, steps=steps, message=message))
    temperatures, measures = _measure(corpus, logits, answers)
    fitted = _fit(counts, answers, told)
    progress(Progress(done=steps, steps=steps, message=f"{fitted.known.sum():,} features learnt"))
    return Artefact(
        parameters=LexicalParameters(
            labels=corpus.experts,
            vocabulary=tuple(features[fitted.known].tolist()),
            rarity=_float32(fitted.rarity[fitted.known]),
            unknown_rarity=fitted.unknown_rarity,
            weights=_float32(fitted.weights),
            bias=_float32(fitted.bias),
            temperatures=temperatures,
        ),
        hyperparameters=told,
        measures=measures,
        corpus_digest=corpus.digest,
        created=created,
    )


def refuse_untrainable(corpus: Corpus) -> None:
    """Check that there is something to tell apart, and lines to learn it from.

    Raises:
        CatalogError: When there are fewer than two experts, or one has too few lines.
    """
    if len(corpus.experts) < 2:
        raise CatalogError(
            f"the router tells experts apart, and there is {len(corpus.experts)};"
            " add a folder with its teaching lines"
        )
    lines = Counter(u.expert for u in corpus.utterances)
    poor = [f"{name} has {lines[name]}" for name in corpus.experts if lines[name] < LEAST_LINES]
    if poor:
        raise CatalogError(
            f"too few teaching lines to train the router: {', '.join(poor)}; an expert needs"
            f" {LEAST_LINES} at the very least and some hundred to be told apart well:"
            " write them into its utterances.zh-TW.txt and utterances.en.txt"
        )


def _count(corpus: Corpus) -> tuple[Any, NDArray[np.object_]]:
    """Give which line has which feature (sparse, ones), and the features in order."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(analyzer=extract, binary=True, dtype=np.float64)
    counts = vectorizer.fit_transform([u.reading for u in corpus.utterances]).tocsr()
    counts.sort_indices()
    return counts, vectorizer.get_feature_names_out()


def _fit(counts: Any, answers: NDArray[np.intp], told: Hyperparameters) -> _Fitted:
    from sklearn.linear_model import LogisticRegression

    lines = counts.shape[0]
    standing = np.bincount(counts.indices, minlength=counts.shape[1])
    known = standing >= told.least_lines
    rarity = np.log((lines + 1) / (standing + 1)) + 1
    unknown_rarity = math.log(lines + 1) + 1
    vectors = _weigh(counts, known, rarity, unknown_rarity)
    labels = np.unique(answers)
    weights = np.zeros((len(labels), vectors.shape[1]))
    bias = np.zeros(len(labels))
    for label in labels:
        # How many lines a domain happens to have says nothing about how often it is asked.
        model = LogisticRegression(
            C=told.strength,
            class_weight="balanced",
            solver="liblinear",
            dual=True,  # the same optimum as the primal, in a sixteenth of its time
            tol=1e-2,  # held-out loss is the same to four digits from here on
            max_iter=10_000,
            random_state=0,
        )
        model.fit(vectors, answers == label)
        weights[label], bias[label] = model.coef_[0], model.intercept_[0]
    return _Fitted(
        known=known, rarity=rarity, unknown_rarity=unknown_rarity, weights=weights.T, bias=bias
    )


def _weigh(
    counts: Any, known: NDArray[np.bool_], rarity: NDArray[np.float64], unknown_rarity: float
) -> Any:
    """Give the lines' vectors over known features (sparse); unknown ones count in the length."""
    squared = np.where(known, rarity, unknown_rarity) ** 2
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    lengths = np.bincount(rows, weights=squared[counts.indices], minlength=counts.shape[0]) ** 0.5
    vectors = counts.copy()
    vectors.data = rarity[counts.indices] / lengths[rows]
    return vectors[:, known]


def _measure(
    corpus: Corpus, logits: NDArray[np.float64], answers: NDArray[np.intp]
) -> tuple[dict[str, float], Measures]:
    """Fit temperatures to held-out logits, and say how good they are."""
    # The service reads the language off the text: the same is done here.
    spoken = [language(u.reading) for u in corpus.utterances]
    temperatures = dict(fit_temperatures(logits, answers, spoken))
    heat = np.array([temperatures.get(v, temperatures[ANY_LANGUAGE]) for v in spoken])
    right = logits.argmax(axis=1) == answers
    files = np.array([u.language for u in corpus.utterances])
    accuracy = {v: float(right[files == v].mean()) for v in sorted(set(files.tolist()))}
    error = expected_calibration_error(softmax(logits / heat[:, None]), answers)
    return temperatures, Measures(
        lines=len(answers),
        accuracy={ANY_LANGUAGE: float(right.mean()), **accuracy},
        calibration_error=error,
    )


def _float32(array: NDArray[np.float64]) -> FloatArray:
    return np.ascontiguousarray(array, dtype=np.float32)
