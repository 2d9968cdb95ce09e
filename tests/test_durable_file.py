"""Files are replaced whole or not at all."""

import fcntl
import os
import stat
from pathlib import Path

import pytest

from tame_router.durable_file import flush_folder, locked, replace_file


def test_a_file_is_replaced_with_its_permissions(tmp_path: Path) -> None:
    """The new bytes and mode are there, and nothing is left beside them."""
    path = tmp_path / "file"
    for data, mode in ((b"one", 0o644), (b"two", 0o600)):
        replace_file(path, data, mode=mode)
        assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (data, mode)
    flush_folder(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_replaced_is_as_it_was(tmp_path: Path) -> None:
    """When the rename fails what was written aside is gone again."""
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(path, b"data")
    assert list(tmp_path.iterdir()) == [path]


def test_a_locked_folder_is_locked_for_others(tmp_path: Path) -> None:
    """While it is held nobody else gets it, and afterwards anybody does."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with locked(tmp_path), pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)
