"""The folder a trained router lies in."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tame_router.errors import ArtefactError
from tame_router.routing.artefact import Artefact
from tame_router.routing.artefact_folder import (
    DOCUMENT_FILE,
    MODEL_FILE,
    load_artefact,
    save_artefact,
)
from tame_router.teaching.corpus import Corpus


@pytest.fixture
def folder(tmp_path: Path, artefact: Artefact) -> Path:
    """Give a folder with the small router in it."""
    folder = tmp_path / "state" / "router"
    save_artefact(artefact, folder)
    return folder


def test_what_was_saved_is_loaded(folder: Path, artefact: Artefact, corpus: Corpus) -> None:
    """A saved router loads for its own experts and teaching material; nothing else lies there."""
    loaded = load_artefact(folder, corpus.experts, corpus_digest=corpus.digest)
    assert loaded.digest == artefact.digest
    assert sorted(p.name for p in folder.iterdir()) == [MODEL_FILE, DOCUMENT_FILE]
    save_artefact(artefact, folder)
    assert load_artefact(folder, corpus.experts).digest == artefact.digest


def test_an_absent_folder_is_refused(tmp_path: Path, corpus: Corpus) -> None:
    """The message says that nothing was trained and what to run."""
    with pytest.raises(ArtefactError, match="the folder does not exist; run `tame router train`"):
        load_artefact(tmp_path / "none", corpus.experts)


@pytest.mark.parametrize("name", [MODEL_FILE, DOCUMENT_FILE])
def test_an_absent_or_unreadable_file_is_refused(folder: Path, corpus: Corpus, name: str) -> None:
    """The file that is not there, or is a folder, is named."""
    (folder / name).unlink()
    with pytest.raises(ArtefactError, match=f"{name} does not exist"):
        load_artefact(folder, corpus.experts)
    (folder / name).mkdir()
    with pytest.raises(ArtefactError, match=f"{name} cannot be read"):
        load_artefact(folder, corpus.experts)


def test_a_truncated_file_is_refused(folder: Path, corpus: Corpus) -> None:
    """The message names folder and file."""
    path = folder / MODEL_FILE
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtefactError) as raised:
        load_artefact(folder, corpus.experts)
    assert f"trained router in {folder}: {MODEL_FILE} is truncated" in raised.value.message


def test_other_experts_are_refused(folder: Path, corpus: Corpus) -> None:
    """The message says which experts are new and which are gone."""
    with pytest.raises(ArtefactError) as raised:
        load_artefact(folder, ("baking", "chess", "general"), corpus_digest=corpus.digest)
    assert "does not know chess and knows cycling, which are no experts" in raised.value.message
    with pytest.raises(ArtefactError, match="does not know chess; run"):
        load_artefact(folder, (*corpus.experts, "chess"))


def test_other_teaching_material_is_refused(folder: Path, corpus: Corpus) -> None:
    """A router trained before the lines changed is told to be trained again."""
    with pytest.raises(ArtefactError, match="comes from other teaching material"):
        load_artefact(folder, corpus.experts, corpus_digest="0" * 64)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, artefact: Artefact) -> None:
    """A file where the folder should be is an error, and stays as it is."""
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(ArtefactError, match="cannot be written"):
        save_artefact(artefact, path)
    assert path.read_text() == "mine"


def test_a_failed_write_leaves_nothing_aside(tmp_path: Path, artefact: Artefact) -> None:
    """Where a rename fails, the file written aside is removed."""
    (tmp_path / MODEL_FILE / "full").mkdir(parents=True)
    with pytest.raises(ArtefactError, match="cannot be written"):
        save_artefact(artefact, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [MODEL_FILE]


def test_another_encoder_is_refused(
    tmp_path: Path, folder: Path, dense_artefact: Artefact, corpus: Corpus
) -> None:
    """A router fits the encoder it was trained with, or none where it was trained without."""
    assert dense_artefact.dense
    own = dense_artefact.dense.encoder_digest
    save_artefact(dense_artefact, tmp_path / "dense")

    def load(place: Path, encoder: str | None) -> Artefact:
        return load_artefact(place, corpus.experts, encoder_digest=encoder)

    for place, encoder in ((folder, ""), (folder, None)):
        assert load(place, encoder).dense is None
    for encoder in (own, None):
        assert load(tmp_path / "dense", encoder).digest == dense_artefact.digest
    with pytest.raises(ArtefactError, match=r"with no encoder, and now there is the encoder abc…"):
        load(folder, "abc")
    with pytest.raises(ArtefactError, match=f"the encoder {own[:16]}…, and now there is no enc"):
        load(tmp_path / "dense", "")
    with pytest.raises(ArtefactError, match=r"and now there is the encoder abc…; run `tame"):
        load(tmp_path / "dense", "abc")


def test_a_router_that_was_told_otherwise_is_refused(
    folder: Path, artefact: Artefact, corpus: Corpus
) -> None:
    """A release with other hyperparameters trains again."""
    told = artefact.hyperparameters
    assert load_artefact(folder, corpus.experts, hyperparameters=told).digest == artefact.digest
    with pytest.raises(ArtefactError, match="other hyperparameters"):
        load_artefact(
            folder, corpus.experts, hyperparameters=msgspec.structs.replace(told, folds=7)
        )


def test_what_could_not_be_loaded_is_not_saved(
    folder: Path, artefact: Artefact, corpus: Corpus
) -> None:
    """Weights that are no number never take the place of a sound router."""
    weights = artefact.parameters.weights.copy()
    weights[0, 0] = np.nan
    broken = replace(artefact, parameters=replace(artefact.parameters, weights=weights))
    with pytest.raises(ArtefactError, match="weights has 1 values"):
        save_artefact(broken, folder)
    assert load_artefact(folder, corpus.experts).digest == artefact.digest
