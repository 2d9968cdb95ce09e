"""Extension: one more label for a trained router, in seconds, the others as they are.

The new label's words are told from a sample of the old lines, its meaning by a linear
discriminant; how loudly it may speak is bounded by how many old lines it takes. Training
anew learns more; this is for a look ahead, and until there is time to train.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from tame_router.errors import CatalogError
from tame_router.routing.artefact import Artefact
from tame_router.routing.lexical import FloatArray, LexicalParameters
from tame_router.teaching.corpus import Corpus, Utterance
from tame_router.teaching.corpus_check import line_key
from tame_router.teaching.embedding import EmbeddingStore
from tame_router.teaching.folds import assign_folds
from tame_router.teaching.label_fit import Ground, LabelFit, fit_label, lay_ground
from tame_router.teaching.training import LEAST_LINES

FOLDS = 5
"""Parts of the new lines that are held out in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A router with one more label.

    Attributes:
        artefact: The router.
        label: The new label.
        lines: Lines it was learnt from.
        recall: Share of its lines that it leads where it did not learn them, in [0, 1].
    """

    artefact: Artefact
    label: str
    lines: int
    recall: float


def extend(
    artefact: Artefact,
    corpus: Corpus,
    label: str,
    *,
    created: datetime,
    embeddings: EmbeddingStore | None = None,
) -> Extension:
    """Add a label to a trained router.

    Calibrations, conformal levels and the detector of questions for two experts stay.

    Args:
        artefact: The router; trained on the lines of all other experts of the corpus.
        corpus: All teaching lines, those of the new label among them.
        label: The new label.
        created: The time now, written into the artefact.
        embeddings: Embeds the lines; None: the router is without encoder.

    Raises:
        CatalogError: When the lines cannot be used, or the router has no such encoder.
    """
    refuse_unfit(artefact, corpus, label)
    if (embeddings.encoder_digest if embeddings else "") != _encoder_digest(artefact):
        raise CatalogError("the router was trained with another encoder; run `tame router train`")
    ground = lay_ground(artefact, corpus, label, embeddings)
    everything = np.ones(ground.new_lines, dtype=np.bool_)
    fit = fit_label(artefact, ground, everything)
    return Extension(
        artefact=_join(artefact, fit, corpus, label, created),
        label=label,
        lines=ground.new_lines,
        recall=_recall(artefact, ground),
    )


def refuse_unfit(artefact: Artefact, corpus: Corpus, label: str) -> None:
    """Check that a label can be added, and that its lines say nothing that others say.

    Raises:
        CatalogError: When it is known already, has too few lines, or one that stands in
            another domain.
    """
    if label in artefact.parameters.labels:
        raise CatalogError(f"the router knows {label!r} already; `tame router train` learns more")
    mine = [u for u in corpus.utterances if u.expert == label and not u.other]
    if len({line_key(u.reading) for u in mine}) < LEAST_LINES:
        raise CatalogError(
            f"{label!r} has {len(mine)} different teaching lines; {LEAST_LINES} are the least,"
            " 20 to 50 are advised: write them into its utterances.zh-TW.txt and utterances.en.txt"
        )
    others = {line_key(u.reading): u for u in corpus.utterances if u.expert != label}
    twice = [(u, others[key]) for u in mine if (key := line_key(u.reading)) in others]
    if twice:
        places = [f"{_place(u)} stands in {_place(other)}" for u, other in twice]
        raise CatalogError(
            "\n".join(["a line teaches one domain; keep each of these in one:", *places])
        )


def _place(utterance: Utterance) -> str:
    return f"{utterance.expert}/{utterance.path.name}:{utterance.line}"


def _encoder_digest(artefact: Artefact) -> str:
    return artefact.dense.encoder_digest if artefact.dense else ""


def _recall(artefact: Artefact, ground: Ground) -> float:
    """Learn from a part of the lines, and count how many others are found."""
    folds = min(FOLDS, ground.new_lines)
    assigned = assign_folds([""] * ground.new_lines, folds, 1)
    found = np.zeros(ground.new_lines, dtype=np.bool_)
    for fold in range(folds):
        mine = assigned == fold
        found[mine] = fit_label(artefact, ground, ~mine).leads(artefact, ground)[: len(mine)][mine]
    return float(found.mean())


def _join(
    artefact: Artefact, fit: LabelFit, corpus: Corpus, label: str, created: datetime
) -> Artefact:
    labels = tuple(sorted((*artefact.parameters.labels, label)))
    place, dense = labels.index(label), artefact.dense
    if dense and fit.direction:
        dense = replace(
            dense,
            weights=_insert(dense.weights, place, fit.direction.weights),
            bias=_insert(dense.bias, place, np.array(fit.direction.bias + fit.evidence_bias)),
        )
    return replace(
        artefact,
        parameters=_join_words(artefact.parameters, fit, labels, place),
        dense=dense,
        measures=msgspec.structs.replace(artefact.measures, lines=len(corpus.utterances)),
        corpus_digest=corpus.digest,
        created=created,
    )


def _join_words(
    p: LexicalParameters, fit: LabelFit, labels: tuple[str, ...], place: int
) -> LexicalParameters:
    """Give the words of both, in their order; old labels hear nothing in a new word."""
    known = frozenset(p.vocabulary)
    added = [feature for feature in fit.words if feature not in known]
    vocabulary = (*p.vocabulary, *added)
    order = sorted(range(len(vocabulary)), key=vocabulary.__getitem__)
    more = np.zeros(len(added))
    column = np.array([fit.words.get(feature, 0.0) for feature in vocabulary])
    weights = np.concatenate([p.weights, np.zeros((len(added), len(p.labels)))])
    rarity = np.array([fit.rarity[feature] for feature in added])
    return replace(
        p,
        labels=labels,
        vocabulary=tuple(vocabulary[i] for i in order),
        rarity=_float32(np.concatenate([p.rarity, rarity])[order]),
        weights=_insert(weights[order], place, column[order]),
        bias=_insert(p.bias, place, np.array(fit.bias)),
        joint_weights=_float32(np.concatenate([p.joint_weights, more])[order]),
    )


def _insert(array: NDArray[np.floating], place: int, column: NDArray[np.float64]) -> FloatArray:
    return _float32(np.insert(array, place, column, axis=-1))


def _float32(array: NDArray[np.floating]) -> FloatArray:
    return np.ascontiguousarray(array, dtype=np.float32)
