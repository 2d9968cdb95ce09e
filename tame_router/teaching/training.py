"""Training: from teaching lines to an artefact, the same one every time.

Linear classifiers are fitted to the lines' features and, where there is an encoder, to
their embeddings; parts of the lines are held out in turn to calibrate both, to choose when
the encoder has to look again, and to say how often the whole is right.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tame_router.errors import CatalogError
from tame_router.routing.artefact import Artefact
from tame_router.routing.artefact_document import Hyperparameters
from tame_router.routing.cascade import DenseParameters
from tame_router.routing.lexical import FloatArray, LexicalParameters
from tame_router.routing.text import language
from tame_router.teaching.corpus import Corpus
from tame_router.teaching.embedding import EmbeddingStore
from tame_router.teaching.folds import assign_folds
from tame_router.teaching.held_out import HeldOut, judge
from tame_router.teaching.lexical_training import LexicalFit, count_features, fit_lexical
from tame_router.teaching.linear import LinearFit, fit_dense

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
class _Lines:
    """What the classifiers are fitted to; rows are lines."""

    ones: Any
    embeddings: NDArray[np.float32] | None
    truths: NDArray[np.bool_]


def train(
    corpus: Corpus,
    *,
    created: datetime,
    embeddings: EmbeddingStore | None = None,
    hyperparameters: Hyperparameters | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Artefact:
    """Train the router.

    Args:
        corpus: The teaching lines.
        created: The time now, written into the artefact.
        embeddings: Embeds the lines; None: the router is to do without an encoder.
        hyperparameters: What to train with; None: the defaults.
        progress: Called after each step.

    Raises:
        CatalogError: When there are fewer than two experts, or one has too few lines.
    """
    refuse_untrainable(corpus)
    told = hyperparameters or Hyperparameters()
    steps = told.folds + (3 if embeddings else 2)
    done = 0

    def tell(message: str) -> None:
        nonlocal done
        done += 1
        progress(Progress(done=done, steps=steps, message=message))

    counts = count_features([u.reading for u in corpus.utterances])
    tell(f"{len(counts.features):,} features found")
    rows = _embed(
        corpus, embeddings, lambda text: progress(Progress(done=done, steps=steps, message=text))
    )
    if rows is not None:
        tell(f"{len(rows):,} lines embedded")
    lines = _Lines(ones=counts.ones, embeddings=rows, truths=truths(corpus))
    held_out = _hold_out(corpus, lines, told, tell)
    verdict = judge(held_out, told)
    everything = np.ones(len(lines.truths), dtype=np.bool_)
    lexical, dense = _fit(lines, everything, told)
    tell(f"{lexical.known.sum():,} features learnt")
    return Artefact(
        parameters=LexicalParameters(
            labels=corpus.experts,
            vocabulary=tuple(counts.features[lexical.known].tolist()),
            rarity=_float32(lexical.rarity[lexical.known]),
            unknown_rarity=lexical.unknown_rarity,
            weights=_float32(lexical.linear.weights[:, :-1]),
            bias=_float32(lexical.linear.bias[:-1]),
            joint_weights=_float32(lexical.linear.weights[:, -1]),
            joint_bias=float(lexical.linear.bias[-1]),
            joint_threshold=verdict.joint_threshold,
            calibration=verdict.fast,
        ),
        dense=DenseParameters(
            encoder_digest=embeddings.encoder_digest,
            weights=_float32(dense.weights * verdict.dense_share),
            bias=_float32(dense.bias * verdict.dense_share),
            calibration=verdict.both,
            confidence=verdict.confidence,
        )
        if embeddings and dense
        else None,
        levels=verdict.levels,
        hyperparameters=told,
        measures=verdict.measures,
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
    lines = Counter(u.expert for u in corpus.utterances if not u.other)
    poor = [f"{name} has {lines[name]}" for name in corpus.experts if lines[name] < LEAST_LINES]
    if poor:
        raise CatalogError(
            f"too few teaching lines to train the router: {', '.join(poor)}; an expert needs"
            f" {LEAST_LINES} at the very least and some hundred to be told apart well:"
            " write them into its utterances.zh-TW.txt and utterances.en.txt"
        )


def truths(corpus: Corpus) -> NDArray[np.bool_]:
    """Tell which experts each line needs, shape (n_lines, n_experts)."""
    column = {name: i for i, name in enumerate(corpus.experts)}
    result = np.zeros((len(corpus.utterances), len(column)), dtype=np.bool_)
    for row, utterance in enumerate(corpus.utterances):
        result[row, column[utterance.expert]] = True
        if utterance.other:
            result[row, column[utterance.other]] = True
    return result


def _embed(
    corpus: Corpus, embeddings: EmbeddingStore | None, tell: Callable[[str], None]
) -> NDArray[np.float32] | None:
    if embeddings is None:
        return None
    told = 0

    def report(done: int, new: int) -> None:
        nonlocal told
        if done * 10 // new > told:
            told = done * 10 // new
            tell(f"{done:,} of {new:,} new lines embedded")

    return embeddings.embed([u.text for u in corpus.utterances], report)


def _hold_out(
    corpus: Corpus, lines: _Lines, told: Hyperparameters, tell: Callable[[str], None]
) -> HeldOut:
    """Give each line's logits from classifiers that did not learn it."""
    folds = assign_folds([u.expert for u in corpus.utterances], told.folds, told.block_lines)
    fast, joint = np.zeros(lines.truths.shape), np.zeros(len(folds))
    dense = None if lines.embeddings is None else np.zeros(lines.truths.shape)
    for fold in range(told.folds):
        mine = folds == fold
        lexical, linear = _fit(lines, ~mine, told)
        found = lexical.logits(lines.ones[mine])
        fast[mine], joint[mine] = found[:, :-1], found[:, -1]
        if dense is not None and linear and lines.embeddings is not None:
            dense[mine] = linear.logits(lines.embeddings[mine])
        tell(f"part {fold + 1} of {told.folds} held out")
    return HeldOut(
        fast=fast,
        dense=dense,
        joint=joint,
        truths=lines.truths,
        leads=np.array([corpus.experts.index(u.expert) for u in corpus.utterances], dtype=np.intp),
        files=np.array([u.language for u in corpus.utterances]),
        # The service reads the language off the text: the same is done here.
        spoken=np.array([language(u.reading) for u in corpus.utterances]),
    )


def _fit(
    lines: _Lines, chosen: NDArray[np.bool_], told: Hyperparameters
) -> "tuple[LexicalFit, LinearFit | None]":
    truth = lines.truths[chosen]
    with_joint = np.column_stack([truth, truth.sum(axis=1) > 1])
    lexical = fit_lexical(
        lines.ones[chosen], with_joint, strength=told.strength, least_lines=told.least_lines
    )
    if lines.embeddings is None:
        return lexical, None
    return lexical, fit_dense(lines.embeddings[chosen], truth, told.dense_strength)


def _float32(array: NDArray[np.float64]) -> FloatArray:
    return np.ascontiguousarray(array, dtype=np.float32)
