"""Linear classifiers, one for each label against the rest."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from tame_router.teaching.linear import NEVER, LinearFit, fit_dense, fit_sparse

LINES = 240


def lines(counts: tuple[int, int, int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Draw points around three centres far from the origin, and whose they are."""
    rng = np.random.default_rng(3)
    leads = np.repeat(np.arange(3), counts)
    centres = rng.normal(size=(3, 8)) + 5
    vectors = centres[leads] + 0.2 * rng.normal(size=(len(leads), 8))
    return vectors.astype(np.float32), np.eye(3, dtype=np.bool_)[leads]


def test_dense_vectors_are_told_apart() -> None:
    """Centring and scaling are undone: the fit takes vectors as they come."""
    vectors, truths = lines((80, 80, 80))
    fit = fit_dense(vectors, truths, strength=10)
    assert (fit.logits(vectors).argmax(axis=1) == truths.argmax(axis=1)).all()
    assert fit.weights.shape == (8, 3)
    moved = fit_dense(vectors * 2 + 1, truths, strength=10)
    assert moved.logits(vectors * 2 + 1) == pytest.approx(fit.logits(vectors), abs=0.05)


def test_sparse_and_dense_agree_on_who_is_who() -> None:
    """Both solvers tell the same lines apart."""
    vectors, truths = lines((80, 80, 80))
    centred = csr_matrix(vectors - vectors.mean(axis=0))
    fit = fit_sparse(centred, truths, strength=10)
    assert (fit.logits(centred).argmax(axis=1) == truths.argmax(axis=1)).all()


def test_many_lines_make_no_domain_likelier() -> None:
    """A domain with ten times the lines gets no head start between the centres."""
    vectors, truths = lines((200, 20, 20))
    fit = fit_dense(vectors, truths, strength=0.01)
    centres = np.stack([vectors[truths[:, label]].mean(axis=0) for label in range(3)])
    assert fit.logits(centres).argmax(axis=1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("fit", [fit_sparse, fit_dense])
def test_a_label_without_lines_is_never_given(fit: Callable[..., LinearFit]) -> None:
    """Nothing speaks for it, and its bias speaks against it."""
    vectors, truths = lines((80, 80, 0))
    given = csr_matrix(vectors) if fit is fit_sparse else vectors
    found = fit(given, truths, 10)
    assert (found.weights[:, 2] == 0).all()
    assert (found.logits(given)[:, 2] < NEVER + 1e-3).all()


def test_the_same_lines_give_the_same_fit() -> None:
    """Nothing is random."""
    vectors, truths = lines((80, 80, 80))
    for fit, given in ((fit_dense, vectors), (fit_sparse, csr_matrix(vectors))):
        one, other = fit(given, truths, 10), fit(given, truths, 10)
        assert (one.weights == other.weights).all()
        assert (one.bias == other.bias).all()


def test_vectors_that_are_all_the_same_can_be_fitted() -> None:
    """Where nothing differs nothing is learnt, and no number breaks."""
    vectors = np.ones((20, 4), dtype=np.float32)
    truths = np.eye(2, dtype=np.bool_)[np.arange(20) % 2]
    assert np.isfinite(fit_dense(vectors, truths, 10).logits(vectors)).all()
