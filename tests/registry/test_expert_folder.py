"""The folder of an expert that an upload has made is there whole, or not at all."""

from pathlib import Path

import pytest

from tame_router.errors_registry import (
    CorruptRevisionError,
    RevisionRefusedError,
    StorageUnavailableError,
)
from tame_router.registry.domain.expert_folder import SOURCE, place_expert
from tame_router.registry.storage.revision_store import RevisionStore
from tests.registry.revision_folder import lying, write_revision

FILES = {
    "adapter_config.json": b"{}",
    "adapter_model.safetensors": b"weights",
    "expert.yaml": b"name: packaging\n",
    "prompt.md": "你是包裝專家。\n".encode(),
    "utterances.en.txt": b"How is a carton tested?\n",
}
MADE = {"expert.yaml", "prompt.md", "utterances.en.txt", SOURCE}


@pytest.fixture
def store(tmp_path: Path) -> RevisionStore:
    """Give an empty store."""
    return RevisionStore(str(tmp_path / "store"))


def put(store: RevisionStore, folder: Path, **changes: bytes) -> str:
    """Keep a revision of `packaging`, and give its name."""
    files = {**FILES, **{path.replace("_md", ".md"): data for path, data in changes.items()}}
    return store.put("packaging", write_revision(folder, files), folder)


def test_it_holds_what_makes_the_expert(store: RevisionStore, tmp_path: Path) -> None:
    """The weights stay in the store; what is there already is not written again."""
    experts = tmp_path / "state" / "experts"
    name = put(store, tmp_path / "upload")
    folder = place_expert(store, name, experts)
    assert folder == experts / "packaging"
    assert set(lying(folder)) == MADE
    assert (folder / "prompt.md").read_bytes() == FILES["prompt.md"]
    (folder / "prompt.md").write_text("kept", encoding="utf-8")
    assert place_expert(store, name, experts) == folder
    assert (folder / "prompt.md").read_text(encoding="utf-8") == "kept"


def test_one_of_another_revision_is_replaced(store: RevisionStore, tmp_path: Path) -> None:
    """So is what a crash has left half written, and nothing else lies about afterwards."""
    experts = tmp_path / "experts"
    (experts / ".new-left" / "packaging").mkdir(parents=True)
    (experts / "packaging").mkdir()
    (experts / "packaging" / "expert.yaml").write_bytes(b"half")
    for number in range(2):
        name = put(store, tmp_path / f"upload-{number}", prompt_md=b"%d" % number)
        folder = place_expert(store, name, experts)
        assert (folder / "prompt.md").read_bytes() == b"%d" % number
        assert (folder / SOURCE).read_text(encoding="utf-8") == name
    assert [path.name for path in experts.iterdir()] == ["packaging"]


def test_what_cannot_be_had_changes_nothing(store: RevisionStore, tmp_path: Path) -> None:
    """A revision that describes nothing, damaged bytes, a place that is none."""
    experts = tmp_path / "experts"
    bare = write_revision(tmp_path / "bare", {"adapter_config.json": b"{}"})
    name = store.put("packaging", bare, tmp_path / "bare")
    with pytest.raises(RevisionRefusedError, match=r"brings no expert\.yaml"):
        place_expert(store, name, experts)
    name = put(store, tmp_path / "upload")
    blobs = tmp_path / "store" / "blobs"
    for blob in blobs.rglob("*"):
        if blob.is_file() and blob.read_bytes() == FILES["prompt.md"]:
            blob.chmod(0o600)
            blob.write_bytes(b"other")
    with pytest.raises(CorruptRevisionError):
        place_expert(store, name, experts)
    assert list(experts.iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageUnavailableError):
        place_expert(store, name, tmp_path / "file")
