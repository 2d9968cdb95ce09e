"""Revisions in a bucket of a real S3-compatible server, one that answers 503 included."""

from pathlib import Path

import pytest

from tame_router.errors import AlreadyExistsError, RevisionNotFoundError
from tame_router.errors_registry import CorruptRevisionError, StorageUnavailableError
from tame_router.registry.manifest import Manifest
from tame_router.registry.storage import blob_bucket
from tame_router.registry.storage.clearing import Choice
from tame_router.registry.storage.revision_store import RevisionStore
from tests.registry.revision_folder import FILES, lying, write_revision
from tests.s3_fixture import BUCKET, S3Server

pytestmark = pytest.mark.s3


@pytest.fixture
def store(s3_server: S3Server) -> RevisionStore:
    """Give an empty store in a bucket."""
    return RevisionStore(f"s3://{BUCKET}/some/prefix")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Write the revision's files, and give their manifest."""
    return write_revision(tmp_path / "in")


def test_what_is_put_comes_back(tmp_path: Path, store: RevisionStore, manifest: Manifest) -> None:
    """All files are fetched as they were put, and each can be read alone."""
    assert (store.names(), store.contains(manifest.name("legal"))) == ([], False)
    name = store.put("legal", manifest, tmp_path / "in", take=True)
    assert (store.names(), store.contains(name)) == ([name], True)
    assert store.put("legal", manifest, tmp_path / "in") == name
    assert store.fetch(name, tmp_path / "out") == store.verify(name) == manifest
    assert lying(tmp_path / "out") == FILES
    assert store.read(name, "adapter_config.json", 100) == FILES["adapter_config.json"]


def test_a_large_file_goes_in_parts(
    tmp_path: Path, store: RevisionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of several parts comes back whole."""
    files = {"adapter_model.safetensors": bytes(range(256)) * 2**17}
    monkeypatch.setitem(blob_bucket._S3_UPLOAD, "chunksize", 8 * 2**20)
    manifest = write_revision(tmp_path / "in", files)
    name = store.put("legal", manifest, tmp_path / "in")
    store.fetch(name, tmp_path / "out")
    assert lying(tmp_path / "out") == files


def test_what_is_removed_frees_what_is_old_enough(
    tmp_path: Path, store: RevisionStore, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Young blobs stay, for they may belong to a put under way; shared ones stay."""
    other = write_revision(tmp_path / "in2", {**FILES, "adapter_config.json": b"{}"})
    first = store.put("legal", manifest, tmp_path / "in")
    second = store.put("medical", other, tmp_path / "in2")
    assert store.remove(first) == 0
    with pytest.raises(RevisionNotFoundError):
        store.verify(first)
    monkeypatch.setattr(blob_bucket.BlobBucket, "spare_s", -1.0)
    assert store.collect(lambda _: Choice(going=frozenset())).freed_bytes == len(
        FILES["adapter_config.json"]
    )
    assert store.verify(second) == other
    assert store.remove(second) == other.size_bytes
    assert store.remove(second) == 0


def test_a_name_is_taken_once(
    tmp_path: Path, store: RevisionStore, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where 64 bits of two digests are equal the first stays."""
    other = write_revision(tmp_path / "in2", {"README.md": b"other"})
    monkeypatch.setattr(Manifest, "name", lambda self, expert: f"{expert}--{'0' * 16}")
    name = store.put("legal", manifest, tmp_path / "in")
    with pytest.raises(AlreadyExistsError):
        store.put("legal", other, tmp_path / "in2")
    assert store.manifest(name) == manifest


def test_what_was_changed_there_is_not_handed_on(
    tmp_path: Path, store: RevisionStore, manifest: Manifest
) -> None:
    """Other bytes under a digest are found, and so are missing ones."""
    import fsspec  # type: ignore[import-untyped]

    name = store.put("legal", manifest, tmp_path / "in")
    blob = f"{BUCKET}/some/prefix/blobs/{manifest.files[-1].sha256}"
    files = fsspec.filesystem("s3")
    files.pipe_file(blob, b"x")
    with pytest.raises(CorruptRevisionError, match="not what its digest says"):
        store.fetch(name, tmp_path / "out")
    files.rm_file(blob)
    with pytest.raises(CorruptRevisionError, match="are gone"):
        store.verify(name)
    assert lying(tmp_path / "out") == {}


def test_a_bucket_that_answers_503_is_unavailable(
    tmp_path: Path, store: RevisionStore, manifest: Manifest, s3_server: S3Server
) -> None:
    """Each method says when to try again, nothing half-done is seen, and later it goes on."""
    name = store.put("legal", manifest, tmp_path / "in")
    other = write_revision(tmp_path / "in2", {"README.md": b"other"})
    s3_server.shut = True
    for use in (
        lambda: store.put("legal", other, tmp_path / "in2"),
        lambda: store.fetch(name, tmp_path / "out"),
        store.names,
        lambda: store.remove(name),
    ):
        with pytest.raises(StorageUnavailableError) as caught:
            use()
        assert (caught.value.retry_after_s or 0) > 0
    assert lying(tmp_path / "out") == {}
    s3_server.shut = False
    assert store.names() == [name]
    assert store.verify(name) == manifest


def test_a_bucket_that_is_not_there_is_unavailable(
    tmp_path: Path, store: RevisionStore, manifest: Manifest
) -> None:
    """A wrong name is told as such, and not taken for an empty store."""
    store = RevisionStore("s3://no-such-bucket/x")
    with pytest.raises(StorageUnavailableError):
        store.put("legal", manifest, tmp_path / "in")
