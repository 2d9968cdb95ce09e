"""Encoders of one's own: what can be told without their library."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from tame_router.errors import ConfigError
from tame_router.routing.sentence_encoder import LONGEST_TEXT_TOKENS, SentenceEncoder


class Transformer:
    """Stands for the library's class, as far as it is used."""

    def __init__(self, source: str, device: str) -> None:
        if source == "nowhere":
            raise OSError("no such repository\nand many more lines")
        self.device = device
        self.max_seq_length: int | None = None if source == "endless" else 512

    def encode(
        self,
        texts: list[str],
        *,
        batch_size: int,
        normalize_embeddings: bool,
        show_progress_bar: bool,
    ) -> NDArray[np.float32]:
        """Embed texts by the longest text it would read."""
        assert batch_size == 1
        assert normalize_embeddings
        assert not show_progress_bar
        return np.full((len(texts), 1), self.max_seq_length, dtype=np.float32)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a library in the real one's place."""
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = Transformer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)


def write(folder: Path, **files: str) -> str:
    """Write a folder of files, and give its path."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return str(folder)


def test_a_folders_digest_is_that_of_its_files(tmp_path: Path) -> None:
    """The same files anywhere are the same encoder; another byte or name is another."""
    one = SentenceEncoder(write(tmp_path / "one", a="1", b="2")).digest
    assert SentenceEncoder(write(tmp_path / "same", b="2", a="1")).digest == one
    assert SentenceEncoder(write(tmp_path / "byte", a="1", b="3")).digest != one
    assert SentenceEncoder(write(tmp_path / "name", a="1", c="2")).digest != one


def test_a_hub_names_digest_is_its_own() -> None:
    """A name on the hub stands for itself, and asks no hub."""
    digests: Sequence[str] = [SentenceEncoder(name).digest for name in ("a/b", "a/b", "a/c")]
    assert digests[0] == digests[1] != digests[2]
    assert len(digests[0]) == 64


def test_an_absent_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library the message says how to install it, and how to do without."""
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    encoder = SentenceEncoder("a/b")
    with pytest.raises(ConfigError, match=r"needs sentence_transformers, .*tame-router\[sentence"):
        encoder.embed(["麵團"])


@pytest.mark.usefixtures("library")
def test_a_model_that_cannot_be_loaded_is_told() -> None:
    """The library's first line is quoted, and what to name instead."""
    with pytest.raises(ConfigError, match=r"cannot load .*: no such repository; name a") as raised:
        SentenceEncoder("nowhere").embed(["麵團"])
    assert "many more lines" not in raised.value.message


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("source", ["a/b", "endless"])
def test_texts_are_read_to_a_bound(source: str) -> None:
    """However much a model would read, no more than the bound is."""
    encoder = SentenceEncoder(source)
    assert encoder.embed(["a", "b"]).tolist() == [[LONGEST_TEXT_TOKENS]] * 2
    assert encoder.embed(["a"]).dtype == np.float32
