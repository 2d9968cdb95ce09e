"""Files that a command writes: whole or not at all."""

import os
from pathlib import Path

from tame_router.durable_file import replace_file
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
        replace_file(path, text.encode())
    except OSError as error:
        raise InvalidRequestError(f"{path}: cannot be written: {error.strerror}") from error
