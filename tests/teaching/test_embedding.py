"""Embeddings of teaching lines, kept on disk."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tame_router.routing.artefact import Artefact
from tame_router.teaching.corpus import Corpus
from tame_router.teaching.embedding import EmbeddingStore
from tame_router.teaching.training import Progress, train
from tests.fakes.encoder import DIMENSION, FakeEncoder

TEXTS = [f"麵團 {number} 號" for number in range(40)]
NOW = datetime(2027, 1, 1, tzinfo=UTC)


def only_file(folder: Path) -> Path:
    """Give the one file there is."""
    (path,) = folder.iterdir()
    return path


def test_a_line_is_embedded_once(tmp_path: Path) -> None:
    """What was embedded before is read, and gives the very same numbers."""
    first = FakeEncoder()
    made = EmbeddingStore(first, tmp_path).embed(TEXTS)
    assert (made.dtype, made.shape) == (np.dtype(np.float32), (len(TEXTS), DIMENSION))
    assert sorted(first.seen) == sorted(TEXTS)
    second = FakeEncoder()
    kept = EmbeddingStore(second, tmp_path).embed(TEXTS)
    assert second.seen == []
    assert (kept == made).all()
    assert np.allclose(made, first.embed(TEXTS), atol=1e-3)


def test_only_new_lines_are_embedded(tmp_path: Path) -> None:
    """More lines, in another order and twice, cost what is new of them."""
    encoder = FakeEncoder()
    store = EmbeddingStore(encoder, tmp_path)
    made = store.embed(TEXTS)
    encoder.seen.clear()
    more = store.embed(["新的", *reversed(TEXTS), "新的"])
    assert encoder.seen == ["新的"]
    assert (more[1:-1] == made[::-1]).all()
    assert (more[0] == more[-1]).all()


def test_lines_are_embedded_as_the_service_reads_them(tmp_path: Path) -> None:
    """Simplified lines and long ones reach the encoder as questions do."""
    encoder = FakeEncoder()
    EmbeddingStore(encoder, tmp_path).embed(["劳动合同", "a" * 5_000])
    assert encoder.seen[0] == "勞動合同"
    assert len(encoder.seen[1]) <= 400


def test_progress_counts_new_lines(tmp_path: Path) -> None:
    """How many of how many is told, up to all of them."""
    told: list[tuple[int, int]] = []
    EmbeddingStore(FakeEncoder(), tmp_path).embed(TEXTS, lambda *now: told.append(now))
    assert told == [(16, 40), (32, 40), (40, 40)]


def truncate(path: Path) -> None:
    """Cut a file in half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lose_rows(path: Path) -> None:
    """Leave more keys than embeddings."""
    arrays = load_file(path)
    save_file({**arrays, "embeddings": arrays["embeddings"][:-1].copy()}, path)


def lose_keys(path: Path) -> None:
    """Leave embeddings of nobody knows what."""
    save_file({"embeddings": load_file(path)["embeddings"]}, path)


def spoil_a_number(path: Path) -> None:
    """Put what is no number among the numbers."""
    arrays = load_file(path)
    arrays["embeddings"][3, 1] = np.nan
    save_file(arrays, path)


def lose_columns(path: Path) -> None:
    """Leave half of each embedding."""
    arrays = load_file(path)
    save_file({**arrays, "embeddings": arrays["embeddings"][:, ::2].copy()}, path)


@pytest.mark.parametrize(
    "spoil",
    [
        truncate,
        lose_rows,
        lose_keys,
        spoil_a_number,
        lose_columns,
        lambda p: p.write_bytes(b""),
    ],
)
def test_a_damaged_file_is_made_again(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    """What cannot be read is embedded again, and kept whole."""
    made = EmbeddingStore(FakeEncoder(), tmp_path).embed(TEXTS)
    whole = only_file(tmp_path).read_bytes()
    spoil(only_file(tmp_path))
    encoder = FakeEncoder()
    assert (EmbeddingStore(encoder, tmp_path).embed(TEXTS) == made).all()
    assert sorted(encoder.seen) == sorted(TEXTS)
    assert only_file(tmp_path).read_bytes() == whole


def test_each_encoder_has_its_own_file(tmp_path: Path) -> None:
    """Embeddings of one encoder are never given for those of another."""
    one = EmbeddingStore(FakeEncoder("one"), tmp_path).embed(TEXTS)
    encoder = FakeEncoder("other")
    store = EmbeddingStore(encoder, tmp_path)
    other = store.embed(TEXTS)
    assert len(encoder.seen) == len(TEXTS)
    assert not np.allclose(one, other)
    assert len(list(tmp_path.iterdir())) == 2
    assert store.encoder_digest == encoder.digest


def test_training_is_the_same_whether_lines_were_kept(
    corpus: Corpus, dense_artefact: Artefact, tmp_path: Path
) -> None:
    """A second training, from kept embeddings, on another day, has the same digest."""
    for _ in range(2):
        encoder = FakeEncoder()
        again = train(corpus, created=NOW, embeddings=EmbeddingStore(encoder, tmp_path))
        assert again.digest == dense_artefact.digest
    assert encoder.seen == []
    other = EmbeddingStore(FakeEncoder("other"), tmp_path)
    assert train(corpus, created=NOW, embeddings=other).digest != dense_artefact.digest


def test_training_with_an_encoder_tells_how_far_it_is(corpus: Corpus, tmp_path: Path) -> None:
    """There is a step more, and embedding lines tells how many are done."""
    seen: list[Progress] = []
    store = EmbeddingStore(FakeEncoder(), tmp_path)
    train(corpus, created=NOW, embeddings=store, progress=seen.append)
    assert {p.steps for p in seen} == {8}
    assert (seen[-1].done, seen[0].done) == (8, 1)
    messages = [p.message for p in seen]
    assert "60 of 60 new lines embedded" in messages
    assert "60 lines embedded" in messages
