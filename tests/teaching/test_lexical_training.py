"""Training of the fast classifier."""

import math

import numpy as np
import pytest

from tame_router.routing.artefact import Artefact
from tame_router.routing.features import extract
from tame_router.routing.lexical import LexicalClassifier
from tame_router.teaching.corpus import Corpus
from tame_router.teaching.lexical_training import count_features, fit_lexical
from tame_router.teaching.training import truths

READINGS = ["麵團發酵", "麵團烤箱", "鏈條上油", "鏈條鏈條 oil"]
TRUTHS = np.array([[True, False], [True, False], [False, True], [False, True]])


def test_each_feature_of_a_line_is_counted_once() -> None:
    """A line has the features that the service would read in it, sorted, by name."""
    counts = count_features(READINGS)
    names = counts.features.tolist()
    assert names == sorted(names)
    for row, reading in enumerate(READINGS):
        (columns,) = counts.ones[row].toarray()[0].nonzero()
        assert {names[column] for column in columns} == set(extract(reading))
    assert counts.ones.max() == 1


def test_rare_features_are_not_learnt_and_weigh_more() -> None:
    """A feature below the least number of lines is unknown; rarity falls with the lines."""
    counts = count_features(READINGS)
    fit = fit_lexical(counts.ones, TRUTHS, strength=10, least_lines=2)
    names = counts.features.tolist()
    known = {name for name, learnt in zip(names, fit.known, strict=True) if learnt}
    assert known == {"麵", "團", "麵團", "鏈", "條", "鏈條"}
    rarity = dict(zip(names, fit.rarity, strict=True))
    assert rarity["麵"] == pytest.approx(math.log(5 / 3) + 1)
    assert rarity["酵"] == pytest.approx(math.log(5 / 2) + 1)
    assert fit.unknown_rarity == pytest.approx(math.log(5) + 1)
    assert fit.linear.weights.shape == (6, 2)
    assert fit.logits(counts.ones).argmax(axis=1).tolist() == [0, 0, 1, 1]


def test_what_is_trained_is_what_runs(corpus: Corpus, artefact: Artefact) -> None:
    """The service's own sum gives the logits that training fitted."""
    counts = count_features([u.reading for u in corpus.utterances])
    told = artefact.hyperparameters
    wanted = truths(corpus)
    fit = fit_lexical(
        counts.ones,
        np.column_stack([wanted, np.zeros(len(wanted), dtype=np.bool_)]),
        strength=told.strength,
        least_lines=told.least_lines,
    )
    classifier = LexicalClassifier(artefact.parameters, artefact.digest)
    found = np.stack([classifier.logits(u.text) for u in corpus.utterances])
    assert found == pytest.approx(fit.logits(counts.ones)[:, :-1], abs=1e-4)
