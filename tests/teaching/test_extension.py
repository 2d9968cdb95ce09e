"""Extension of a trained router by one label."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tame_router.errors import CatalogError
from tame_router.routing.artefact import Artefact, decode, encode
from tame_router.routing.lexical import LexicalClassifier
from tame_router.teaching.corpus import Corpus, load_corpus
from tame_router.teaching.embedding import EmbeddingStore
from tame_router.teaching.extension import extend
from tame_router.teaching.training import train
from tests.fakes.encoder import FakeEncoder
from tests.school import CREATED

GARDEN = """# 種花
玫瑰花要多久澆水一次
盆栽葉子發黃是澆水太多嗎
番茄幼苗什麼時候移盆
盆栽土壤要加多少肥料
玫瑰花剪枝要剪到哪裡
多肉植物葉子掉落怎麼辦
薰衣草盆栽需要多少陽光
番茄葉子上有蚜蟲怎麼防治
"""


@pytest.fixture
def wider(folders: Mapping[str, Path], tmp_path: Path) -> Corpus:
    """Give the school's lines with those of a new domain."""
    folder = tmp_path / "draft" / "garden"
    folder.mkdir(parents=True)
    (folder / "utterances.zh-TW.txt").write_text(GARDEN, encoding="utf-8")
    return load_corpus({**folders, "garden": folder})


def test_a_new_label_is_found_and_the_old_ones_stay(artefact: Artefact, wider: Corpus) -> None:
    """Its lines are led by it, and old weights are what they were."""
    extension = extend(artefact, wider, "garden", created=CREATED)
    p, old = extension.artefact.parameters, artefact.parameters
    assert p.labels == ("baking", "cycling", "garden", "general")
    assert list(p.vocabulary) == sorted(set(p.vocabulary))
    where = [p.vocabulary.index(feature) for feature in old.vocabulary]
    assert np.array_equal(np.delete(p.weights, 2, axis=1)[where], old.weights)
    classifier = LexicalClassifier(p, extension.artefact.digest)
    found = classifier.classify(["玫瑰花盆栽澆水", "腳踏車鏈條上油"]).probabilities.argmax(axis=1)
    assert [p.labels[i] for i in found] == ["garden", "cycling"]


def test_an_extended_router_is_a_router(artefact: Artefact, wider: Corpus) -> None:
    """It is written and read like any other, and carries the digest of all lines."""
    extended = extend(artefact, wider, "garden", created=CREATED).artefact
    assert decode(*encode(extended)).digest == extended.digest
    assert extended.corpus_digest == wider.digest
    assert extended.measures.lines == len(wider.utterances)


def test_extending_is_repeatable(artefact: Artefact, wider: Corpus) -> None:
    """The same lines give the same router."""
    first, second = (extend(artefact, wider, "garden", created=CREATED) for _ in range(2))
    assert first.artefact.digest == second.artefact.digest
    assert first.recall == second.recall
    assert 0 <= first.recall <= 1


def test_an_encoder_is_taught_too(corpus: Corpus, wider: Corpus, tmp_path: Path) -> None:
    """With an encoder, a column for what embeddings say of the label is added."""
    store = EmbeddingStore(FakeEncoder(), tmp_path / "state")
    trained = train(corpus, created=CREATED, embeddings=store)
    extended = extend(trained, wider, "garden", created=CREATED, embeddings=store).artefact
    assert trained.dense is not None
    assert extended.dense is not None
    assert np.array_equal(np.delete(extended.dense.weights, 2, axis=1), trained.dense.weights)
    assert extended.dense.calibration == trained.dense.calibration
    assert extended.levels == trained.levels


def test_another_encoder_is_refused(artefact: Artefact, wider: Corpus, tmp_path: Path) -> None:
    """A router without encoder cannot be extended with one."""
    store = EmbeddingStore(FakeEncoder(), tmp_path / "state")
    with pytest.raises(CatalogError, match="another encoder"):
        extend(artefact, wider, "garden", created=CREATED, embeddings=store)


@pytest.mark.parametrize(
    ("lines", "message"),
    [("玫瑰花澆水\n", "1 different"), ("玫瑰花澆水\n講一個笑話給我聽！\n", "stands in general/")],
)
def test_lines_that_cannot_teach_are_refused(
    artefact: Artefact, folders: Mapping[str, Path], tmp_path: Path, lines: str, message: str
) -> None:
    """One line alone, or a line of another domain, is refused with its place."""
    folder = tmp_path / "garden"
    folder.mkdir()
    (folder / "utterances.zh-TW.txt").write_text(lines, encoding="utf-8")
    corpus = load_corpus({**folders, "garden": folder})
    with pytest.raises(CatalogError, match=message):
        extend(artefact, corpus, "garden", created=CREATED)


def test_a_label_that_is_known_is_refused(artefact: Artefact, corpus: Corpus) -> None:
    """A label cannot be added twice."""
    with pytest.raises(CatalogError, match="already"):
        extend(artefact, corpus, "baking", created=CREATED)
