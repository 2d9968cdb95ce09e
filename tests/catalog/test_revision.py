"""Names that never mean two things."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tame_router.catalog.revision import manifest, read_revision
from tests.catalog.test_loader import write_adapter


def test_equal_bytes_have_equal_names(tmp_path: Path) -> None:
    """The name follows from the bytes, not from the folder."""
    one = read_revision("legal", write_adapter(tmp_path / "one"))
    other = read_revision("legal", write_adapter(tmp_path / "other"))
    assert one.name == other.name
    assert one.digest == other.digest
    assert len(one.digest) == 64


@given(weights=st.binary(max_size=64))
def test_a_changed_byte_is_another_revision(tmp_path_factory: object, weights: bytes) -> None:
    """No two different weight files share a name."""
    folder = tmp_path_factory.mktemp("adapters")  # type: ignore[attr-defined]
    one = read_revision("legal", write_adapter(folder / "one", weights=weights))
    other = read_revision("legal", write_adapter(folder / "other", weights=weights + b"x"))
    assert one.name != other.name


def test_the_manifest_names_files_sizes_and_digests(tmp_path: Path) -> None:
    """The manifest is canonical JSON that describes each file an engine reads."""
    document = json.loads(manifest(write_adapter(tmp_path / "a", weights=b"abc")))
    names = [entry["path"] for entry in document["files"]]
    assert names == ["adapter_config.json", "adapter_model.safetensors"]
    weights = document["files"][1]
    assert weights["size"] == 3
    assert weights["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_files_that_engines_do_not_read_change_nothing(tmp_path: Path) -> None:
    """A card can be mended without a new revision."""
    folder = write_adapter(tmp_path / "a")
    before = read_revision("legal", folder).name
    (folder / "README.md").write_text("a card")
    assert read_revision("legal", folder).name == before
