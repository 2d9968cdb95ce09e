"""Copies of revisions on the engine's machine."""

import multiprocessing
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tame_router.errors import RevisionNotFoundError
from tame_router.errors_registry import (
    CorruptRevisionError,
    StorageFullError,
    StorageUnavailableError,
)
from tame_router.registry.manifest import Manifest
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.vllm_plugin.cache import AdapterCache
from tests.vllm_plugin.revisions import SMALL, keep, spoil

LARGE = 10**9
WEIGHTS = "adapter_model.safetensors"
SIZE = sum(map(len, SMALL.values()))


class Place:
    """A store, and copies of what is in it."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "store"
        self.copies = folder / "copies"
        self.aside = folder / "aside"
        self._open: list[AdapterCache] = []

    def keep(self, note: str = "") -> str:
        """Put a revision into the store, and give its name."""
        return keep(self.store, self.aside, note=note)

    def cache(self, most_bytes: int = LARGE) -> AdapterCache:
        """Give what one process has of the copies."""
        self._open.append(AdapterCache(self.copies, most_bytes, RevisionStore(str(self.store))))
        return self._open[-1]

    def names(self) -> set[str]:
        """Give what lies among the copies."""
        return {path.name for path in self.copies.iterdir()} - {"lock", "locks"}

    def close(self) -> None:
        """Let all copies go."""
        for cache in self._open:
            cache.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Give an empty one."""
    place = Place(tmp_path)
    yield place
    place.close()


def test_a_copy_is_what_the_store_has(place: Place) -> None:
    """Every file comes with its bytes, nobody may write them, and nothing is left beside."""
    name = place.keep()
    folder = place.cache().ensure(name)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == dict(SMALL)
    assert {path.stat().st_mode & 0o222 for path in folder.iterdir()} == {0}
    assert place.names() == {name}


def test_a_copy_outlives_the_store(place: Place) -> None:
    """What is whole here needs the store no more, in this process or the next."""
    name = place.keep()
    folder = place.cache().ensure(name)
    shutil.rmtree(place.store)
    assert place.cache().ensure(name) == folder


@pytest.mark.parametrize("name", ["../legal", "legal", "", "legal--0123456789abcdef\n", "a/b"])
def test_no_other_name_becomes_a_path(place: Place, name: str) -> None:
    """The caller has matched it before; here it is matched again."""
    with pytest.raises(ValueError, match="no name of a revision"):
        place.cache().ensure(name)
    assert not place.copies.exists()


def test_what_is_not_there_leaves_nothing(place: Place) -> None:
    """Nor does it hold a lock that nobody would let go."""
    cache = place.cache()
    with pytest.raises(RevisionNotFoundError):
        cache.ensure("legal--0123456789abcdef")
    assert place.names() == set()
    name = place.keep()
    assert cache.ensure(name)


def test_rotten_bytes_in_the_store_leave_nothing(place: Place) -> None:
    """A file that is not what its digest says never gets its name here."""
    name = place.keep()
    spoil(place.store, SMALL[WEIGHTS])
    with pytest.raises(CorruptRevisionError):
        place.cache().ensure(name)
    assert place.names() == set()


def _rot(folder: Path) -> None:
    (folder / WEIGHTS).chmod(0o644)
    (folder / WEIGHTS).write_bytes(b"Weights")


def _shorten(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def _add(folder: Path) -> None:
    (folder / "adapter_model.bin").write_bytes(b"pickle")


def _link(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder.parent / "elsewhere")
    (folder / WEIGHTS).symlink_to(folder.parent / "elsewhere")


def _other_manifest(folder: Path) -> None:
    (folder.parent / "manifest.json").chmod(0o644)
    (folder.parent / "manifest.json").write_bytes(Manifest(files=()).document)
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.mark.parametrize("change", [_rot, _shorten, _add, _link, _other_manifest])
def test_a_changed_copy_is_fetched_anew(place: Place, change: object) -> None:
    """A copy is read to the last byte each time; one that is not right is never given."""
    assert callable(change)
    name = place.keep()
    cache = place.cache()
    change(cache.ensure(name))
    folder = cache.ensure(name)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == dict(SMALL)
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert place.names() == {name}
    change(folder)
    shutil.rmtree(place.store)
    with pytest.raises(RevisionNotFoundError):
        cache.ensure(name)


def test_what_a_crash_left_is_swept(place: Place) -> None:
    """The next fetch removes what another did not finish."""
    name = place.keep()
    (place.copies / ".part-dead" / "files").mkdir(parents=True)
    (place.copies / ".part-dead" / "files" / WEIGHTS).write_bytes(b"wei")
    place.cache().ensure(name)
    assert place.names() == {name}


def test_the_one_used_longest_ago_goes_first(place: Place) -> None:
    """Within the limit the newest stay; a use makes an old one new."""
    first, second, third = (place.keep(note=str(number)) for number in range(3))
    limit = 2 * (SIZE + 1)
    for at, name in enumerate((first, second, first)):
        cache = place.cache(limit)
        cache.ensure(name)
        os.utime(place.copies / name, (at, at))
        cache.close()
    place.cache(limit).ensure(third)
    assert place.names() == {first, third}


def test_what_a_process_holds_is_not_removed(place: Place) -> None:
    """The engine may read it again at any time; a new one is refused instead, with what to do."""
    first, second = (place.keep(note=str(number)) for number in range(2))
    held = place.cache(SIZE + 1)
    folder = held.ensure(first)
    with pytest.raises(StorageFullError, match="TAME_ADAPTER_CACHE_BYTES"):
        place.cache(SIZE + 1).ensure(second)
    assert folder.is_dir()
    held.close()
    place.cache(SIZE + 1).ensure(second)
    assert place.names() == {second}


def test_locks_go_with_their_copies(place: Place) -> None:
    """What was removed, or never came, leaves none behind; who holds one keeps it."""
    first, second, third = (place.keep(note=str(number)) for number in range(3))
    limit = 2 * (SIZE + 1)
    passing, held = place.cache(limit), place.cache(limit)
    passing.ensure(first)
    with pytest.raises(RevisionNotFoundError):
        passing.ensure("legal--0123456789abcdef")
    passing.close()
    held.ensure(second)
    passing.ensure(third)  # in the place of the first
    assert place.names() == {second, third}
    shutil.rmtree(place.copies / second)  # whoever did that, its lock is held
    passing.ensure(first)
    assert {path.name for path in (place.copies / "locks").iterdir()} == {first, second, third}
    passing.close()
    held.close()
    assert held.ensure(second)
    assert {path.name for path in (place.copies / "locks").iterdir()} == place.names()


def test_one_that_is_larger_than_all_is_not_fetched(place: Place) -> None:
    """And nothing is removed for it."""
    first = place.keep()
    cache = place.cache(SIZE)
    cache.ensure(first)
    cache.close()
    second = place.keep(note="much longer")
    with pytest.raises(StorageFullError, match="may have"):
        cache.ensure(second)
    assert place.names() == {first}


def _ensure(place: Place, names: list[str]) -> None:
    cache = place.cache(2 * (SIZE + 1))
    for name in names:
        try:
            folder = cache.ensure(name)
            assert (folder / WEIGHTS).read_bytes() == SMALL[WEIGHTS]
        except StorageFullError:
            continue  # the others hold all there is room for
        finally:
            cache.close()


def test_processes_share_the_copies(place: Place) -> None:
    """Four at once, with room for two revisions of three: each gets whole ones or none."""
    names = [place.keep(note=str(number)) for number in range(3)]
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_ensure, args=(place, [*names[at % 3 :], *names] * 5))
        for at in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert place.names() <= set(names)
    assert len(place.names()) <= 2


class _Dies:
    """A store whose machine dies in the middle of a fetch."""

    def __init__(self, store: RevisionStore) -> None:
        self._store = store

    def manifest(self, name: str) -> Manifest:
        """Give the manifest."""
        return self._store.manifest(name)

    def fetch(self, name: str, folder: Path) -> Manifest:
        """Write one file, and end the process as SIGKILL would."""
        folder.mkdir(parents=True)
        (folder / WEIGHTS).write_bytes(b"wei")
        os._exit(9)


def _die(place: Place, name: str) -> None:
    AdapterCache(place.copies, LARGE, _Dies(RevisionStore(str(place.store)))).ensure(name)


def test_a_process_that_dies_in_the_middle_holds_nobody_up(place: Place) -> None:
    """Its locks go with it, and the next fetches the whole."""
    name = place.keep()
    worker = multiprocessing.get_context("spawn").Process(target=_die, args=(place, name))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 9
    assert any(left.startswith(".part-") for left in place.names())
    assert (place.cache().ensure(name) / WEIGHTS).read_bytes() == SMALL[WEIGHTS]
    assert place.names() == {name}


class _Breaks(_Dies):
    """A store that fails in the middle of a fetch."""

    def fetch(self, name: str, folder: Path) -> Manifest:
        """Write one file, and fail."""
        folder.mkdir(parents=True)
        (folder / WEIGHTS).write_bytes(b"wei")
        raise StorageUnavailableError("503")


def test_a_store_that_breaks_off_leaves_nothing(place: Place) -> None:
    """Neither a half copy, nor its traces."""
    name = place.keep()
    cache = AdapterCache(place.copies, LARGE, _Breaks(RevisionStore(str(place.store))))
    with pytest.raises(StorageUnavailableError):
        cache.ensure(name)
    assert place.names() == set()
