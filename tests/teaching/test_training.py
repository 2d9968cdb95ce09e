"""Training."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tame_router.errors import CatalogError
from tame_router.routing.artefact import Artefact
from tame_router.routing.artefact_document import Hyperparameters
from tame_router.routing.lexical import LexicalClassifier
from tame_router.teaching.corpus import Corpus, read_corpus
from tame_router.teaching.training import Progress, train

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def read(folders: Mapping[str, Path]) -> Corpus:
    """Read the lines of some folders."""
    return read_corpus(folders)[0]


def test_training_is_repeatable(
    artefact: Artefact, tmp_path: Path, write: Callable[[Path], Mapping[str, Path]]
) -> None:
    """The same lines in another folder on another day give the same digest."""
    assert train(read(write(tmp_path)), created=NOW).digest == artefact.digest


def test_other_lines_or_hyperparameters_give_another_digest(
    corpus: Corpus, artefact: Artefact, folders: Mapping[str, Path]
) -> None:
    """A digest never stands for two routers."""
    with (folders["baking"] / "utterances.en.txt").open("a") as file:
        file.write("proofing basket\n")
    changed = train(read(folders), created=NOW)
    told = train(corpus, created=NOW, hyperparameters=Hyperparameters(strength=1))
    assert len({artefact.digest, changed.digest, told.digest}) == 3


def test_parameters_have_their_shapes(artefact: Artefact, corpus: Corpus) -> None:
    """Arrays are float32 and fit the vocabulary and the labels."""
    p = artefact.parameters
    assert p.labels == corpus.experts
    assert list(p.vocabulary) == sorted(set(p.vocabulary))
    assert p.weights.shape == (len(p.vocabulary), 3)
    assert p.rarity.shape == (len(p.vocabulary),)
    assert p.bias.shape == (3,)
    assert {a.dtype for a in (p.weights, p.rarity, p.bias)} == {np.dtype(np.float32)}
    assert (p.rarity >= 1).all()


def test_measures_come_from_held_out_lines(artefact: Artefact) -> None:
    """Accuracy is told by language, and is not that of the lines learnt from."""
    measures = artefact.measures
    assert measures.lines == 60
    assert set(measures.accuracy) == {"any", "en", "zh-TW"}
    assert 0.3 < measures.accuracy["any"] < 1
    assert 0 <= measures.calibration_error < 0.5
    assert artefact.corpus_digest


def test_progress_is_told_step_by_step(corpus: Corpus) -> None:
    """Steps are counted up to their number."""
    seen: list[Progress] = []
    train(corpus, created=NOW, progress=seen.append)
    assert [p.done for p in seen] == list(range(1, 8))
    assert {p.steps for p in seen} == {7}
    assert seen[1].message == "part 1 of 5 held out"


def test_two_experts_can_be_told_apart(folders: Mapping[str, Path]) -> None:
    """Two are enough."""
    two = {name: folders[name] for name in ("baking", "cycling")}
    artefact = train(read(two), created=NOW)
    found = LexicalClassifier(artefact.parameters, artefact.digest).classify(["單車鏈條"])
    assert found.probabilities.shape == (1, 2)
    assert found.probabilities[0, 1] > 0.5


def test_an_expert_of_two_lines_can_be_taught(folders: Mapping[str, Path], tmp_path: Path) -> None:
    """The least there is to learn from is enough to be routable."""
    (tmp_path / "utterances.en.txt").write_text(
        "chess opening with the queen's gambit\nchess endgame with a rook and a pawn\n"
    )
    artefact = train(read({**folders, "chess": tmp_path}), created=NOW)
    found = LexicalClassifier(artefact.parameters, artefact.digest)
    (row,) = found.classify(["which chess opening"]).probabilities
    assert found.labels[int(row.argmax())] == "chess"


def test_one_expert_is_refused(folders: Mapping[str, Path]) -> None:
    """There is nothing to tell apart."""
    with pytest.raises(CatalogError, match="there is 1; add a folder"):
        train(read({"baking": folders["baking"]}), created=NOW)


@pytest.mark.parametrize("lines", ["", "chess opening\n"])
def test_an_expert_with_too_few_lines_is_refused(
    folders: Mapping[str, Path], tmp_path: Path, lines: str
) -> None:
    """The expert is named with how many lines it has."""
    (tmp_path / "utterances.en.txt").write_text(lines)
    with pytest.raises(CatalogError, match=f"chess has {lines.count(chr(10))}; an expert needs 2"):
        train(read({**folders, "chess": tmp_path}), created=NOW)
