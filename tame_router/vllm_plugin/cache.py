"""This machine's copies of revisions: fetched once, checked before every load, bounded in size.

```
lock                 held by who changes anything below
locks/<name>         held, shared, by every process that may read the copy: vLLM reads it again
                     whenever it has put the adapter out of memory, and knows a name that it was
                     once given, with its folder, as long as it lives
<name>/manifest.json
<name>/files/…       as in the revision; read-only
.part-…              being written, or left by a crash: swept by the next who holds `lock`
```
Locks are the kernel's: they go with the process that holds them, however it ends.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from tame_router.errors_registry import CorruptRevisionError, StorageFullError
from tame_router.registry.manifest import REVISION_NAME, Manifest, read_manifest

FILES: Final = "files"
MANIFEST: Final = "manifest.json"
PART: Final = ".part-"

_READ_ONLY: Final = 0o444


class Store(Protocol):
    """Where revisions come from; see `RevisionStore`."""

    def manifest(self, name: str) -> Manifest:
        """Give a revision's manifest."""

    def fetch(self, name: str, folder: Path) -> Manifest:
        """Write a revision's files into a folder, each checked on the way."""


class AdapterCache:
    """Copies of revisions in a folder that processes share.

    Args:
        folder: The folder; made when it is first needed.
        most_bytes: Most bytes of all copies. Those in use are never removed for others.
        store: Where revisions come from.
    """

    def __init__(self, folder: Path, most_bytes: int, store: Store) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._store = store
        self._pins: dict[str, int] = {}
        self._guard = threading.Lock()

    def ensure(self, name: str) -> Path:
        """Give the folder of a revision's files, all of them read and found right just now.

        It stays there while this process lives.

        Args:
            name: What `REVISION_NAME` matches whole.

        Raises:
            RevisionNotFoundError: When the store has no such revision.
            CorruptRevisionError: When its bytes are not what its name says.
            StorageFullError: When there is no room for it.
            StorageUnavailableError: When the store cannot be read now.
            OSError: When the folder cannot be written.
        """
        if REVISION_NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name of a revision")
        (self._folder / "locks").mkdir(parents=True, exist_ok=True, mode=0o700)
        pinned = self._pin(name)
        try:
            if not self._whole(name):
                self._fetch(name)
            os.utime(self._folder / name)
        except BaseException:
            if pinned:
                self._unpin(name)
            raise
        return self._folder / name / FILES

    def close(self) -> None:
        """Let all copies go."""
        for name in list(self._pins):
            self._unpin(name)

    def _pin(self, name: str) -> bool:
        """Keep a copy from being removed; tell whether it was not kept before."""
        with self._guard:
            if name in self._pins:
                return False
            self._pins[name] = self._shared(f"locks/{name}")
            return True

    def _shared(self, path: str) -> int:
        """Hold a lock together with others, on the file that has the name now."""
        while True:
            descriptor = self._open_lock(path)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), (self._folder / path).stat()):
                    return descriptor
            os.close(descriptor)  # somebody has swept it meanwhile

    def _unpin(self, name: str) -> None:
        with self._guard:
            os.close(self._pins.pop(name))

    def _fetch(self, name: str) -> None:
        with self._locked():
            if self._whole(name):  # another process was quicker
                return
            self._sweep()
            self._make_room(name, self._store.manifest(name).size_bytes)
            aside = Path(tempfile.mkdtemp(prefix=PART, dir=self._folder))
            try:
                manifest = self._store.fetch(name, aside / FILES)
                _seal(aside, manifest)
                self._replace(name, aside)
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                raise
            if not self._whole(name):
                raise CorruptRevisionError(
                    f"{name} is not served: its copy is not what was written; look after the disk",
                    metadata={"revision": name},
                )

    def _replace(self, name: str, aside: Path) -> None:
        """Put a copy in its place, whatever broken one is there."""
        place = self._folder / name
        with suppress(FileNotFoundError):
            self._put_away(place)
        aside.rename(place)
        _flush_folder(self._folder)

    def _put_away(self, place: Path) -> None:
        away = Path(tempfile.mkdtemp(prefix=PART, dir=self._folder))
        try:
            place.rename(away / place.name)
        finally:
            shutil.rmtree(away, ignore_errors=True)

    def _make_room(self, name: str, size_bytes: int) -> None:
        """Remove the copies used longest ago, but for those that a process holds."""
        if size_bytes > self._most_bytes:
            raise StorageFullError(
                f"{name} has {size_bytes} bytes; the engine's copies may have"
                f" {self._most_bytes}: raise TAME_ADAPTER_CACHE_BYTES"
            )
        others = [path for path in self._copies() if path.name != name]
        sizes = {path: _size_bytes(path / FILES) for path in others}
        total = sum(sizes.values())  # manifests, some hundred bytes each, are not counted
        for path in sorted(others, key=lambda path: path.stat().st_mtime):
            if total + size_bytes <= self._most_bytes:
                return
            if self._evict(path):
                total -= sizes[path]
        if total + size_bytes > self._most_bytes:
            raise StorageFullError(
                f"{name} has {size_bytes} bytes, and running engines hold copies of {total};"
                f" {self._most_bytes} are allowed: raise TAME_ADAPTER_CACHE_BYTES, or start the"
                " engines anew, which lets go of revisions that nobody asks for any more"
            )

    def _evict(self, path: Path) -> bool:
        """Remove a copy unless a process holds it."""
        descriptor = self._open_lock(f"locks/{path.name}")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._put_away(path)
            (self._folder / "locks" / path.name).unlink()
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _copies(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if REVISION_NAME.fullmatch(path.name)]

    def _sweep(self) -> None:
        """Remove what a crash left, and the locks of copies that have gone."""
        for path in self._folder.glob(f"{PART}*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in (self._folder / "locks").iterdir():
            if not (self._folder / path.name).exists():
                self._sweep_lock(path)

    def _sweep_lock(self, path: Path) -> None:
        """Remove a lock unless a process holds it: one that is about to fetch the copy."""
        descriptor = self._open_lock(f"locks/{path.name}")
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        os.close(descriptor)

    def _whole(self, name: str) -> bool:
        """Tell whether a copy is there, nothing else is beside it, and every byte is right."""
        try:
            manifest = read_manifest((self._folder / name / MANIFEST).read_bytes())
            if manifest.name(name.partition("--")[0]) != name:
                return False
            return _holds(self._folder / name / FILES, manifest)
        except (OSError, ValueError):
            return False

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = self._open_lock("lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self, path: str) -> int:
        return os.open(self._folder / path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _holds(folder: Path, manifest: Manifest) -> bool:
    found = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    wanted = {folder / file.path: file for file in manifest.files}
    if set(found) != set(wanted):
        return False
    for path, entry in wanted.items():
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            if os.fstat(file.fileno()).st_size != entry.size_bytes:
                return False
            if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
                return False
    return True


def _seal(aside: Path, manifest: Manifest) -> None:
    """Add the manifest, take away the right to write, and wait for the disk."""
    for file in manifest.files:
        (aside / FILES / file.path).chmod(_READ_ONLY)
    document = aside / MANIFEST
    with document.open("xb") as written:
        written.write(manifest.document)
        written.flush()
        os.fchmod(written.fileno(), _READ_ONLY)
        os.fsync(written.fileno())
    for folder in (path for path in (*(aside / FILES).rglob("*"), aside) if path.is_dir()):
        _flush_folder(folder)
    _flush_folder(aside / FILES)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size_bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
