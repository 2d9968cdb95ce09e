"""Bytes in a folder of this machine: written aside, flushed, renamed. Processes may share it.

Needs the standard library alone.
"""

import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tame_router.durable_file import flush_folder
from tame_router.registry.file_digest import PIECE_BYTES
from tame_router.registry.storage.blobs import Kept

MODE = 0o444
"""What is kept never changes."""

ASIDE = "aside"
"""Folder of what is not whole yet; what a crash left in it goes when something is removed."""

_CANNOT_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP})


class BlobFolder:
    """A folder; made when something is first kept.

    Args:
        root: The folder.
    """

    failures: tuple[type[Exception], ...] = (OSError,)
    spare_s = 0.0  # whoever adds holds the lock: nothing is under way while something is removed

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep_file(self, key: str, source: Path, *, take: bool) -> None:
        """Keep a file's bytes: linked where it may be and lies on the same disk, else copied."""
        with self._aside(key) as aside:
            if not (take and _linked(source, aside)):
                with source.open("rb") as file, aside.open("xb") as copy:
                    shutil.copyfileobj(file, copy, PIECE_BYTES)

    def keep(self, key: str, data: bytes) -> None:
        """Keep bytes."""
        with self._aside(key) as aside:
            aside.write_bytes(data)

    def keep_new(self, key: str, data: bytes) -> bool:
        """Keep bytes where nothing lies yet; only links decide between two at once."""
        if (self._root / key).exists():
            return False
        try:
            with self._aside(key, new=True) as aside:
                aside.write_bytes(data)
        except FileExistsError:
            return False
        return True

    def open(self, key: str) -> BinaryIO:
        """Open for reading; a symbolic link in its place is not followed."""
        return os.fdopen(os.open(self._root / key, os.O_RDONLY | os.O_NOFOLLOW), "rb")

    def list(self, folder: str) -> Iterator[Kept]:
        """Give the files below a folder."""
        now = time.time()
        for place, _, names in os.walk(self._root / folder):
            for name in names:
                path = Path(place) / name
                with suppress(FileNotFoundError):
                    status = path.lstat()
                    yield Kept(
                        key=path.relative_to(self._root).as_posix(),
                        size_bytes=status.st_size,
                        age_s=now - status.st_mtime,
                    )

    def delete(self, key: str) -> None:
        """Delete a file, and the folder of a revision that is empty then."""
        path = self._root / key
        path.unlink(missing_ok=True)
        if path.parent.parent != self._root:
            with suppress(FileNotFoundError):
                path.parent.rmdir()

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Keep who removes waiting."""
        self._root.mkdir(parents=True, exist_ok=True)
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def removing(self) -> Iterator[None]:
        """Keep everybody else waiting, and clear away what crashes left."""
        if not self._root.exists():
            yield
            return
        with self._locked(fcntl.LOCK_EX):
            for left in self.list(ASIDE):
                self.delete(left.key)
            yield

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        """Hold the folder's lock; it is gone with the process that holds it."""
        descriptor = os.open(self._root, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _aside(self, key: str, *, new: bool = False) -> Iterator[Path]:
        """Give a new path to write to; what is there then is flushed, and takes its place.

        With `new` it takes no other's place: `FileExistsError`.
        """
        path = self._root / key
        aside = self._root / ASIDE / uuid.uuid4().hex
        for folder in (aside.parent, path.parent):
            _make_folder(folder)
        try:
            yield aside
            _flush(aside)
            if not (new and _linked(aside, path)):
                aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        # It is still there after a link, and after a rename onto another name of the same file.
        aside.unlink(missing_ok=True)
        flush_folder(path.parent)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        flush_folder(folder.parent)


def _linked(source: Path, aside: Path) -> bool:
    """Give a file a second name; False: it lies on another disk, or the disk knows no links."""
    try:
        os.link(source, aside, follow_symlinks=False)
    except OSError as error:
        if error.errno in _CANNOT_LINK:
            return False
        raise
    return True


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, MODE)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
