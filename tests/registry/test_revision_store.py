"""Revisions are kept whole or not at all, and nothing wrong is ever handed on."""

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tame_router.errors import AlreadyExistsError, ConfigError, RevisionNotFoundError
from tame_router.errors_registry import (
    CorruptRevisionError,
    RevisionRefusedError,
    StorageUnavailableError,
    UploadError,
)
from tame_router.registry.manifest import FileEntry, Manifest, make_manifest
from tame_router.registry.storage.clearing import Choice, Cleared
from tame_router.registry.storage.revision_store import RevisionStore
from tests.registry.revision_folder import FILES, entry_of, lying, write_revision

UNKNOWN = "legal--" + "0" * 16
NO_NAMES = ("../legal", "legal", "legal--", f"../{UNKNOWN}", f"{UNKNOWN}/../x", f"{UNKNOWN}\n", "")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Write the revision's files, and give their manifest."""
    return write_revision(tmp_path / "in")


@pytest.fixture
def store(tmp_path: Path) -> RevisionStore:
    """Give an empty store."""
    return RevisionStore(str(tmp_path / "store"))


@pytest.mark.parametrize("take", [False, True])
def test_what_is_put_comes_back(
    tmp_path: Path, store: RevisionStore, manifest: Manifest, take: bool
) -> None:
    """All files are fetched as they were put, and each can be read alone."""
    name = store.put("legal", manifest, tmp_path / "in", take=take)
    assert (name, store.names(), store.contains(name)) == (manifest.name("legal"), [name], True)
    assert store.manifest(name) == store.verify(name) == manifest
    assert store.fetch(name, tmp_path / "out") == manifest
    assert lying(tmp_path / "out") == FILES
    assert {path: store.read(name, path, 10**7) for path in FILES} == FILES
    assert store.read(name, "model.sig", 10) is None
    with pytest.raises(RevisionRefusedError, match="21 bytes; 20 are read"):
        store.read(name, "adapter_config.json", 20)


def test_the_layout_is_the_one_that_engines_read(
    tmp_path: Path, store: RevisionStore, manifest: Manifest
) -> None:
    """Content lies under its digest, the manifest under the name, nothing else, none writable."""
    name = store.put("legal", manifest, tmp_path / "in")
    kept = lying(tmp_path / "store")
    documents = {key: data for key, data in kept.items() if not key.startswith("blobs/")}
    assert documents == {f"revisions/{name}/manifest.json": manifest.document}
    assert {key: data for key, data in kept.items() if key not in documents} == {
        f"blobs/{hashlib.sha256(data).hexdigest()}": data for data in FILES.values()
    }
    modes = {(tmp_path / "store" / key).stat().st_mode & 0o777 for key in kept}
    assert modes == {0o444}


@pytest.mark.parametrize("name", [*NO_NAMES, UNKNOWN])
def test_what_is_not_there_is_not_found(store: RevisionStore, tmp_path: Path, name: str) -> None:
    """An unknown name, and anything that is no name, is not found and makes no path."""
    assert (store.contains(name), store.names(), store.remove(name)) == (False, [], 0)
    for ask in (store.manifest, store.verify, lambda n: store.fetch(n, tmp_path / "out")):
        with pytest.raises(RevisionNotFoundError):
            ask(name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a/../b", ".x", "a//b", "a\\b", "", "x" * 101, "a\n"]
)
def test_an_unsafe_path_is_not_put(tmp_path: Path, store: RevisionStore, path: str) -> None:
    """No file of a revision can lie outside its folder."""
    manifest = make_manifest([FileEntry(path=path, size_bytes=0, sha256="0" * 64)])
    with pytest.raises(UploadError, match="no path"):
        store.put("legal", manifest, tmp_path)
    with pytest.raises(UploadError, match="no name of an expert"):
        store.put("../legal", manifest, tmp_path)


def test_an_unsafe_path_in_the_store_is_not_fetched(tmp_path: Path, store: RevisionStore) -> None:
    """A manifest that somebody put there by hand leads nowhere either."""
    manifest = make_manifest([entry_of("../x", b"")])
    document = tmp_path / "store/revisions" / manifest.name("legal") / "manifest.json"
    document.parent.mkdir(parents=True)
    document.write_bytes(manifest.document)
    with pytest.raises(CorruptRevisionError, match="leads elsewhere"):
        store.fetch(manifest.name("legal"), tmp_path / "out")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b"x" * path.stat().st_size),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"x"),
        lambda path: path.unlink(),
    ],
    ids=["changed", "shorter", "longer", "gone"],
)
def test_what_has_rotted_is_not_handed_on(
    tmp_path: Path, store: RevisionStore, manifest: Manifest, harm: Callable[[Path], object]
) -> None:
    """A blob that is not what its digest says is refused, nothing is left, and a new put heals."""
    name = store.put("legal", manifest, tmp_path / "in")
    blob = tmp_path / "store/blobs" / manifest.files[-1].sha256
    blob.chmod(0o644)
    harm(blob)
    (tmp_path / "out").mkdir()
    for ask in (
        lambda: store.verify(name),
        lambda: store.fetch(name, tmp_path / "out"),
        lambda: store.read(name, manifest.files[-1].path, 10**7),
    ):
        with pytest.raises(CorruptRevisionError, match="is not served") as caught:
            ask()
        assert caught.value.metadata == {"revision": name}
    assert not list((tmp_path / "out").iterdir())
    store.put("legal", manifest, tmp_path / "in")
    assert store.verify(name) == manifest


def test_a_manifest_of_another_is_not_believed(
    tmp_path: Path, store: RevisionStore, manifest: Manifest
) -> None:
    """A manifest that is damaged, or is not the one its name says, is refused."""
    name = store.put("legal", manifest, tmp_path / "in")
    document = tmp_path / "store/revisions" / name / "manifest.json"
    for data in (b"", b"{}", make_manifest(manifest.files[:1]).document, b" " * 2**21):
        document.unlink()
        document.write_bytes(data)
        with pytest.raises(CorruptRevisionError):
            store.manifest(name)
    with pytest.raises(CorruptRevisionError):
        store.collect(lambda _: Choice(going=frozenset()))


def test_another_revision_takes_no_name(
    tmp_path: Path, store: RevisionStore, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where 64 bits of two digests are equal the first stays; a damaged manifest is mended."""
    other = write_revision(tmp_path / "in2", {"README.md": b"other"})
    monkeypatch.setattr(Manifest, "name", lambda self, expert: f"{expert}--{'0' * 16}")
    name = store.put("legal", manifest, tmp_path / "in")
    with pytest.raises(AlreadyExistsError, match=name):
        store.put("legal", other, tmp_path / "in2")
    assert store.manifest(name) == manifest
    document = tmp_path / "store/revisions" / name / "manifest.json"
    document.unlink()
    document.write_bytes(b"{")
    assert store.put("legal", other, tmp_path / "in2") == name
    assert store.manifest(name) == other


def test_a_link_in_a_blobs_place_is_not_followed(
    tmp_path: Path, store: RevisionStore, manifest: Manifest
) -> None:
    """Nor is one in the folder that is put."""
    name = store.put("legal", manifest, tmp_path / "in")
    blob = tmp_path / "store/blobs" / manifest.files[-1].sha256
    blob.unlink()
    blob.symlink_to(tmp_path / "in" / manifest.files[-1].path)
    with pytest.raises(StorageUnavailableError):
        store.verify(name)
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (other / "README.md").symlink_to(tmp_path / "secret")
    with pytest.raises(StorageUnavailableError):
        store.put("legal", make_manifest([entry_of("README.md", b"secret")]), other)


def test_a_file_that_is_not_the_manifests_is_not_put(
    tmp_path: Path, store: RevisionStore, manifest: Manifest
) -> None:
    """Other bytes, and other sizes of files that are given away, leave no revision."""
    path = tmp_path / "in/adapter_config.json"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(UploadError, match="adapter_config"):
        store.put("legal", manifest, tmp_path / "in")
    path.write_bytes(b"x")
    with pytest.raises(UploadError, match="adapter_config"):
        store.put("legal", manifest, tmp_path / "in", take=True)
    assert store.names() == []


def test_what_is_shared_stays(tmp_path: Path, store: RevisionStore, manifest: Manifest) -> None:
    """Removing frees what no other revision needs; what a crash left goes too."""
    other = write_revision(tmp_path / "in2", {**FILES, "adapter_config.json": b"{}"})
    first = store.put("legal", manifest, tmp_path / "in")
    second = store.put("medical", other, tmp_path / "in2")
    assert store.remove(first) == len(FILES["adapter_config.json"])
    assert (store.names(), store.verify(second)) == ([second], other)
    left = (tmp_path / "store/aside/left", tmp_path / "store/blobs" / ("0" * 64))
    for path in left:
        path.write_bytes(b"12345")
    assert store.collect(lambda _: Choice(going={second})) == Cleared(
        freed_bytes=other.size_bytes + 5, nameless=frozenset({"0" * 64})
    )
    assert lying(tmp_path / "store") == {}
    assert not list((tmp_path / "store/revisions").iterdir())


def test_bytes_on_another_disk_are_copied(tmp_path: Path, manifest: Manifest) -> None:
    """Files that are given away and cannot be linked are copied."""
    shared = Path("/dev/shm")  # noqa: S108 - a file system of its own
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    store = RevisionStore(f"file://{shared}/tame-{os.getpid()}")
    try:
        name = store.put("legal", manifest, tmp_path / "in", take=True)
        assert store.verify(name) == manifest
    finally:
        subprocess.run(["rm", "-rf", f"{shared}/tame-{os.getpid()}"], check=True)


def test_any_place_that_fsspec_knows_will_do(tmp_path: Path, manifest: Manifest) -> None:
    """A place without locks keeps, gives, takes no name twice, and removes what is old enough."""
    store = RevisionStore(f"memory://{tmp_path.name}/x")
    assert store.names() == []
    name = store.put("legal", manifest, tmp_path / "in")
    assert store.put("legal", manifest, tmp_path / "in", take=True) == name
    assert store.fetch(name, tmp_path / "out") == store.verify(name) == manifest
    assert lying(tmp_path / "out") == FILES
    assert (store.names(), store.remove(name), store.names()) == ([name], 0, [])
    assert store.remove(name) == 0
    with pytest.raises(RevisionNotFoundError):
        store.manifest(name)


@pytest.mark.parametrize("url", ["gopher://x/y", "nothing://"])
def test_an_address_that_nobody_reads_stops_the_start(url: str) -> None:
    """The message names the setting."""
    with pytest.raises(ConfigError, match="TAME_REGISTRY__URL"):
        RevisionStore(url)


@settings(max_examples=25)
@given(files=st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.binary(), max_size=5))
def test_any_files_come_back(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    """Fetching gives what was put, whatever the bytes, and removing frees each of them once."""
    place = tmp_path_factory.mktemp("any")
    manifest = write_revision(place / "in", files)
    store = RevisionStore(str(place / "store"))
    name = store.put("legal", manifest, place / "in") if files else ""
    if files:
        store.fetch(name, place / "out")
        assert lying(place / "out") == files
    assert store.remove(name) == sum(map(len, set(files.values())))
