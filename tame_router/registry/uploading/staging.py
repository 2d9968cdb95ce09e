"""Where the files of an unfinished upload lie: a folder of its own, that one process may hold.

Files are appended to, and flushed to disk by a thread of their own while more comes in;
what was flushed is what may be acknowledged.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tame_router.durable_file import flush_folder
from tame_router.errors_registry import StorageFullError, UploadInterruptedError
from tame_router.registry.file_digest import pieces
from tame_router.registry.request import Progress

FLUSH_BYTES = 32 * 2**20
"""Bytes after which what is received is flushed, and acknowledged."""

BUSY_RETRY_AFTER_S = 5.0

SPARE_BYTES = 256 * 2**20
"""Room on the disk that uploads leave to others."""


class Staging:
    """The folder of one upload, held until it is closed. For one thread at a time.

    Args:
        folder: The upload's folder; made where it is missing.

    Attributes:
        files: Folder with its files under their paths.
        durable: What outlives a crash; None: nothing new yet.

    Raises:
        UploadInterruptedError: When another process holds it.
        OSError: When the disk cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files = folder / "files"
        self.durable: Progress | None = None
        self._lock = _held(folder)
        self.files.mkdir(exist_ok=True)
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="upload-flush")
        self._flushes: list[Future[None]] = []
        self._unflushed_bytes = 0
        self._descriptor: int | None = None

    def make_room(self, size_bytes: int) -> None:
        """See that the disk has room for what is to come.

        Raises:
            StorageFullError: When it has not.
        """
        free = shutil.disk_usage(self._folder).free - SPARE_BYTES
        if free < size_bytes:
            raise StorageFullError(
                f"{size_bytes} bytes are to come, and the disk for uploads has room for"
                f" {max(free, 0)}; nothing was taken: free some, or give it more"
            )

    def require_share(self, size_bytes: int, room_bytes: int) -> None:
        """See that an upload fits beside the others in the folder that it lies in.

        Args:
            size_bytes: What it takes when it is complete.
            room_bytes: What all of them may take.

        Raises:
            StorageFullError: When it does not fit.
        """
        beside = (folder for folder in self._folder.parent.iterdir() if folder != self._folder)
        others = sum(map(_size_of, beside))
        if others + size_bytes > room_bytes:
            raise StorageFullError(
                f"your unfinished uploads take {others} bytes, and this one would take"
                f" {size_bytes}; {max(room_bytes, 0)} are left for both: finish those, or have old"
                " revisions removed"
            )

    def staged(self, path: str) -> Iterator[bytes]:
        """Read what is here of a file."""
        place = self.files / path
        if os.path.lexists(place):
            with os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                yield from pieces(file)

    def forget(self, path: str) -> None:
        """Throw away what is here of a file, the one that is written included."""
        self.settle()
        self._close_file()
        (self.files / path).unlink(missing_ok=True)

    def begin(self, path: str) -> None:
        """Go on at the end of a file, once what is there already is on disk."""
        place = self.files / path
        place.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        self._descriptor = os.open(place, flags, 0o600)
        os.fsync(self._descriptor)
        flush_folder(place.parent)

    def write(self, data: bytes) -> None:
        """Append to the file that was begun."""
        if self._descriptor is None:
            raise RuntimeError("no file was begun")
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._unflushed_bytes += len(data)

    def reached(self, progress: Progress, *, file_done: bool) -> None:
        """Flush where it is due, beside what comes next; a file that is done is closed.

        Raises:
            OSError: When an earlier flush failed.
        """
        while self._flushes and self._flushes[0].done():
            self._flushes.pop(0).result()
        due = self._unflushed_bytes >= FLUSH_BYTES and not self._flushes
        if self._descriptor is None or not (due or file_done):
            return
        self._flushes.append(
            self._flusher.submit(self._flush, self._descriptor, progress, file_done=file_done)
        )
        self._unflushed_bytes = 0
        if file_done:
            self._descriptor = None

    def settle(self) -> None:
        """Wait until all that was to be flushed is on disk.

        Raises:
            OSError: When a flush failed.
        """
        while self._flushes:
            self._flushes.pop(0).result()

    def close(self, *, discard: bool) -> None:
        """Let go of the folder; `discard`: and remove it."""
        self._flusher.shutdown(wait=True)
        self._close_file()
        if discard:
            shutil.rmtree(self._folder, ignore_errors=True)
            with suppress(OSError):  # others lie beside it, or it is gone
                self._folder.parent.rmdir()
        os.close(self._lock)

    def _flush(self, descriptor: int, progress: Progress, *, file_done: bool) -> None:
        try:
            os.fdatasync(descriptor)
            # What is on disk need not be in memory too: new bytes take its place there, and not
            # that of others' files.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            if file_done:
                os.close(descriptor)
        self.durable = progress

    def _close_file(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _held(folder: Path) -> int:
    """Make a folder and lock it; the lock is gone with the process."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # whoever held it removes it, with the folder around it, just now
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise UploadInterruptedError(
                "another process receives this upload now; try again when its stream has ended",
                retry_after_s=BUSY_RETRY_AFTER_S,
            ) from None
        # Whoever held it may have removed it just now: then this is the lock of nothing.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), folder.stat()):
                os.utime(folder)
                return lock
        os.close(lock)


def _size_of(folder: Path) -> int:
    """Add up what lies in a folder, from which somebody may be removing it."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += Path(place, name).lstat().st_size
    return size
