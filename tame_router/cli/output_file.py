"""Files that a command writes: whole or not at all."""

import os
import tempfile
from pathlib import Path

from tame_router.errors import InvalidRequestError


def check_writable(path: Path) -> None:
    """Check, before the work, that a file can be written.

    Raises:
        InvalidRequestError: When its folder does not exist or takes no file, or the path
            is a folder.
    """
    if path.is_dir():
        raise InvalidRequestError(f"{path}: is a folder; give a file")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InvalidRequestError(f"{path}: cannot be written; {path.parent} takes no file")


def write_file(path: Path, text: str) -> None:
    """Write a file as UTF-8, aside and renamed, so that nobody ever reads half of it.

    Raises:
        InvalidRequestError: When it cannot be written.
    """
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as aside:
            aside.write(text)
        try:
            # The temporary file is its owner's alone; what is written for others to read is not.
            Path(aside.name).chmod(0o644)
            Path(aside.name).replace(path)
        except OSError:
            Path(aside.name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InvalidRequestError(f"{path}: cannot be written: {error.strerror}") from error
