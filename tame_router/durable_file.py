"""Files that a crash leaves whole: written aside, flushed to disk, renamed.

Decides nothing about what is written.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODE = 0o644
"""Permissions of a new file: everybody may read."""


def replace_file(path: Path, data: bytes, *, mode: int = MODE) -> None:
    """Put a file in the place of another, or where there was none.

    Raises:
        OSError: When it cannot be written; what was there is as it was.
    """
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk.

    Raises:
        OSError: When the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process that asks for the same folder waiting.

    Advisory, and gone with the process that holds it.

    Raises:
        OSError: When the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
