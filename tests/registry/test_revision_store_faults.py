"""A disk that is full or not there, several processes at once, and one that dies half-way."""

import multiprocessing
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tame_router.errors_registry import StorageFullError, StorageUnavailableError
from tame_router.registry.manifest import Manifest, read_manifest
from tame_router.registry.storage.revision_store import RevisionStore
from tests.registry.revision_folder import lying, write_revision

UNKNOWN = "legal--" + "0" * 16


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Write the revision's files, and give their manifest."""
    return write_revision(tmp_path / "in")


@pytest.fixture
def store(tmp_path: Path) -> RevisionStore:
    """Give an empty store."""
    return RevisionStore(str(tmp_path / "store"))


@contextmanager
def disk_of(size_bytes: int) -> Iterator[None]:
    """Let no file grow beyond a size: a disk that is full in the middle of one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, store: RevisionStore, manifest: Manifest
) -> None:
    """Where the room ends the call fails as such, and neither store nor folder holds a part."""
    with disk_of(10**6), pytest.raises(StorageFullError, match="no room"):
        store.put("legal", manifest, tmp_path / "in")
    assert store.names() == []
    assert not any(len(data) == 10**6 for data in lying(tmp_path / "store").values())
    name = store.put("legal", manifest, tmp_path / "in")
    with disk_of(10**6), pytest.raises(StorageFullError):
        store.fetch(name, tmp_path / "out")
    assert lying(tmp_path / "out") == {}


def test_a_place_that_cannot_be_used_is_unavailable(tmp_path: Path, manifest: Manifest) -> None:
    """Where nothing can be written the error says when to try again, and no path."""
    (tmp_path / "file").write_bytes(b"")
    store = RevisionStore(str(tmp_path / "file"))
    for use in (
        lambda: store.put("legal", manifest, tmp_path / "in"),
        lambda: store.manifest(UNKNOWN),
    ):
        with pytest.raises(StorageUnavailableError) as caught:
            use()
        assert (caught.value.retry_after_s or 0) > 0
        assert str(tmp_path) not in str(caught.value)


def put_and_remove(root: str, folder: str, expert: str, begin: Barrier) -> None:
    """Put, check and remove a revision over and over; another process does so too."""
    store = RevisionStore(root)
    manifest = read_manifest((Path(folder) / "../manifest.json").read_bytes())
    begin.wait()
    for _ in range(40):
        name = store.put(expert, manifest, Path(folder))
        store.verify(name)
        store.remove(name)
        store.put("shared", manifest, Path(folder))


def test_two_processes_put_and_remove_at_once(
    tmp_path: Path, store: RevisionStore, manifest: Manifest
) -> None:
    """Nobody's blob is removed while another's manifest is about to name it."""
    (tmp_path / "manifest.json").write_bytes(manifest.document)
    context = multiprocessing.get_context("spawn")
    begin = context.Barrier(2)
    arguments = (str(tmp_path / "store"), str(tmp_path / "in"))
    processes = [
        context.Process(target=put_and_remove, args=(*arguments, expert, begin))
        for expert in ("legal", "medical")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert store.verify(manifest.name("shared")) == manifest


KILLED = """
import os, sys
from pathlib import Path
from tame_router.registry.manifest import read_manifest
from tame_router.registry.storage.revision_store import RevisionStore

count, root, folder, document = int(sys.argv[1]), *sys.argv[2:]
calls = 0

def audit(event, arguments):
    global calls
    if event in ("open", "os.link", "os.rename", "os.mkdir", "os.remove"):
        calls += 1
        if calls == count:
            os._exit(9)

manifest = read_manifest(Path(document).read_bytes())
store = RevisionStore(root)
sys.addaudithook(audit)
store.remove(store.put("legal", manifest, Path(folder), take=count % 2 == 0))
print("done")
"""


def test_whatever_call_it_dies_at_the_store_is_whole(
    tmp_path: Path, store: RevisionStore, manifest: Manifest
) -> None:
    """A process ended before any one of its calls to the disk leaves a store that verifies."""
    document = tmp_path / "manifest.json"
    document.write_bytes(manifest.document)
    code = 9
    count = 0
    while code == 9:
        count += 1
        command = [sys.executable, "-c", KILLED, str(count)]
        paths = (tmp_path / "store", tmp_path / "in", document)
        code = subprocess.run([*command, *map(str, paths)], check=False).returncode
        for name in store.names():
            store.verify(name)
        name = store.put("legal", manifest, tmp_path / "in")
        assert store.verify(name) == manifest
        store.remove(name)
        assert lying(tmp_path / "store") == {}
    assert (code, count > 10) == (0, True)
