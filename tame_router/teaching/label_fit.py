"""One label's weights beside those of a trained router, and how loudly it may speak.

Old lines are sampled: those that look most like the new ones, and some of all. The two
biases follow from them in closed form. The new label may take `MOST_CAPTURED` of the old
lines from their experts; and its words alone may send `MOST_LOOKS` more of them to the
encoder, because a new domain's questions have to get there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tame_router.routing.artefact import Artefact
from tame_router.routing.calibration import ANY_LANGUAGE, Calibration
from tame_router.teaching.corpus import Corpus
from tame_router.teaching.discriminant import (
    Background,
    Direction,
    find_direction,
    measure_background,
)
from tame_router.teaching.embedding import EmbeddingStore
from tame_router.teaching.lexical_training import WeighedLines, weigh_lines
from tame_router.teaching.linear import fit_sparse

MOST_CAPTURED = 0.008
"""Share of the old lines whose logits the new label may outweigh. On held-out domains it costs
unseen questions of the others about as much, and no more than a point (docs/new-domain.md)."""

MOST_LOOKS = 0.25
"""Share of old lines that may go to the encoder because of the new label's words."""

LIKE_LINES = 1_500
"""Old lines in the sample that look most like the new ones."""

ANY_LINES = 1_500
"""Old lines in the sample that are drawn from all others."""

WORDS_SHARE = 0.3
"""What a logit of words is worth: few lines hold few of a domain's words."""

SPREAD = 5.0
"""Standard deviation of the logits of meaning, over old lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every fit of the label starts from: the new lines first, sampled old ones after.

    Attributes:
        new_lines: How many of the rows are new.
        old_lines: How many old lines there are in all.
        alike: How many rows after the new ones were chosen for their likeness.
        words: Their words.
        fast: The old labels' logits by words, shape (n_rows, n_labels).
        evidence: The old labels' logits by meaning, of the same shape; zeros without encoder.
        embeddings: Shape (n_rows, dimension); None: there is no encoder.
        background: What all old lines' embeddings are like; None: there is no encoder.
    """

    new_lines: int
    old_lines: int
    alike: int
    words: WeighedLines
    fast: NDArray[np.float64]
    evidence: NDArray[np.float64]
    embeddings: NDArray[np.float32] | None
    background: Background | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFit:
    """What was learnt of a label.

    Attributes:
        words: Weight of each feature.
        rarity: Inverse document frequency of the same features.
        bias: Of the logit by words.
        direction: What embeddings say; None: there is no encoder.
        evidence_bias: Added to what embeddings say.
        by_words: Logit of each row of the ground by words, shape (n_rows,).
        by_both: The same by words and meaning.
    """

    words: dict[str, float]
    rarity: dict[str, float]
    bias: float
    direction: Direction | None
    evidence_bias: float
    by_words: NDArray[np.float64]
    by_both: NDArray[np.float64]

    def leads(self, artefact: Artefact, ground: Ground) -> NDArray[np.bool_]:
        """Tell for each row whether the label is the most probable one, shape (n_rows,)."""
        both: NDArray[np.bool_] = self.by_both > (ground.fast + ground.evidence).max(axis=1)
        fast = np.column_stack([ground.fast, self.by_words])
        if artefact.dense is None:
            return both
        first = artefact.parameters.calibration.probabilities(fast, ANY_LANGUAGE)
        sure = first.max(axis=1) >= artefact.dense.confidence
        leads: NDArray[np.bool_] = np.where(
            sure, first.argmax(axis=1) == ground.fast.shape[1], both
        )
        return leads


def lay_ground(
    artefact: Artefact, corpus: Corpus, label: str, embeddings: EmbeddingStore | None
) -> Ground:
    """Sample old lines, and read them and the new ones.

    Args:
        artefact: The router.
        corpus: All lines, the label's among them.
        label: The new label.
        embeddings: Embeds the lines; None: the router is without encoder.
    """
    mine = np.array([label in (u.expert, u.other) for u in corpus.utterances])
    new, old = np.flatnonzero(mine), np.flatnonzero(~mine)
    rows = embeddings.embed([u.text for u in corpus.utterances]) if embeddings else None
    background, alike = None, 0
    if rows is not None:
        column = {name: i for i, name in enumerate(corpus.experts)}
        domains = np.array([column[corpus.utterances[i].expert] for i in old], dtype=np.intp)
        background = measure_background(rows[old], domains)
        old = old[np.argsort(-_likeness(artefact, background, rows, new, old), kind="stable")]
        alike = min(LIKE_LINES, len(old))
    rest = np.random.default_rng(0).permutation(old[alike:])[:ANY_LINES]
    if rows is None:
        rest = np.random.default_rng(0).permutation(old)[: LIKE_LINES + ANY_LINES]
    chosen = np.concatenate([new, old[:alike], rest])
    p = artefact.parameters
    words = weigh_lines(
        [corpus.utterances[i].reading for i in chosen], len(new), p, lines=len(corpus.utterances)
    )
    fast = words.logits(p.weights, p.bias)
    dense = artefact.dense
    return Ground(
        new_lines=len(new),
        old_lines=len(old),
        alike=alike,
        words=words,
        fast=fast,
        evidence=rows[chosen] @ dense.weights + dense.bias
        if dense and rows is not None
        else np.zeros_like(fast),
        embeddings=None if rows is None else rows[chosen],
        background=background,
    )


def fit_label(artefact: Artefact, ground: Ground, learnt: NDArray[np.bool_]) -> LabelFit:
    """Learn the label from some of its lines.

    Args:
        artefact: The router.
        ground: The lines.
        learnt: Which of the new lines are learnt from, shape (n_new_lines,); at least one.
    """
    rows = np.ones(len(ground.fast), dtype=np.bool_)
    rows[: ground.new_lines] = learnt
    truth = np.arange(len(rows)) < ground.new_lines
    linear = fit_sparse(
        ground.words.vectors[rows], truth[rows, None], artefact.hyperparameters.strength
    )
    weights = linear.weights[:, 0] * WORDS_SHARE
    words = ground.words.vectors @ weights
    direction, meaning = None, np.zeros(len(rows))
    if ground.background and ground.embeddings is not None:
        mine = ground.embeddings[: ground.new_lines][learnt]
        direction = find_direction(ground.background, mine, spread=SPREAD)
        meaning = direction.logits(ground.embeddings)
    loudest = _bias_by_both(ground, words + meaning)
    bias = _bias_by_words(artefact, ground, words) if artefact.dense else loudest
    names = ground.words.features
    return LabelFit(
        words=dict(zip(names, weights.tolist(), strict=True)),
        rarity=dict(zip(names, ground.words.rarity.tolist(), strict=True)),
        bias=bias,
        direction=direction,
        evidence_bias=loudest - bias,
        by_words=words + bias,
        by_both=words + meaning + loudest,
    )


def _likeness(
    artefact: Artefact,
    background: Background,
    rows: NDArray[np.float32],
    new: NDArray[np.intp],
    old: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Tell how much more each old line looks like the new ones than like its own domain."""
    likeness = find_direction(background, rows[new], spread=SPREAD).logits(rows[old])
    if artefact.dense:
        likeness -= (rows[old] @ artefact.dense.weights + artefact.dense.bias).max(axis=1)
    return likeness


def _bias_by_both(ground: Ground, logits: NDArray[np.float64]) -> float:
    """Give the bias at which the label takes the stated share of the old lines."""
    margins = (ground.fast + ground.evidence).max(axis=1) - logits
    # Without an encoder all of the sample is drawn, and stands for all lines.
    lines = ground.old_lines if ground.alike else len(margins) - ground.new_lines
    return _reached(margins[ground.new_lines :], int(MOST_CAPTURED * lines))


def _bias_by_words(artefact: Artefact, ground: Ground, words: NDArray[np.float64]) -> float:
    """Give the bias at which words raise the alarm as often as they may, and no louder."""
    confidence = artefact.dense.confidence if artefact.dense else 0.0
    calibration: Calibration = artefact.parameters.calibration
    heat = calibration.temperature(ANY_LANGUAGE)
    scaled = ground.fast / heat
    powers = np.exp(scaled)
    top, total = powers.max(axis=1), powers.sum(axis=1)
    sure = top >= confidence * total
    room = np.maximum(top / max(confidence, 1e-6) - total, 1e-9)
    drawn = np.arange(len(words)) >= ground.new_lines + ground.alike
    alarms = (heat * np.log(room) - words)[sure & drawn]
    bias = _reached(alarms, int(MOST_LOOKS * drawn.sum()))
    least = np.log(confidence / max(1 - confidence, 1e-6) * total)
    taken = (heat * least - words)[ground.new_lines :]
    return min(bias, _reached(taken, int(MOST_CAPTURED * ground.old_lines)))


def _reached(thresholds: NDArray[np.float64], count: int) -> float:
    """Give the number that at most so many thresholds lie below."""
    ordered = np.sort(thresholds)
    return float(ordered[min(count, len(ordered) - 1)]) if len(ordered) else 0.0
