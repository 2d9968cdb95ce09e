"""What the disk has of an upload, memory need not have too."""

import os
from pathlib import Path

import pytest

from tame_router.registry.request import Progress
from tame_router.registry.uploading.staging import Staging


def in_memory(path: Path) -> bool:
    """Tell whether the system could give the beginning of a file without asking the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT) == 1
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Give a folder on a disk. Skips where there is none below it that memory could leave to."""
    path = tmp_path / "tried"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        os.write(descriptor, b"x" * 2**20)
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        there = in_memory(path)
    except OSError:
        there = True
    finally:
        os.close(descriptor)
    if there:
        pytest.skip("the folder for tests is in memory anyway")
    return tmp_path


def test_what_is_flushed_leaves_memory(disk: Path) -> None:
    """A large upload does not push out what others have in memory: it keeps none of it itself."""
    staging = Staging(disk / "upload")
    data = os.urandom(2**20)
    staging.begin("weights")
    staging.write(data)
    assert in_memory(staging.files / "weights")
    at = Progress(
        upload_id="0" * 32,
        file=1,
        offset=0,
        running_crc32=0,
        received_bytes=len(data),
        size_bytes=len(data),
    )
    staging.reached(at, file_done=True)
    staging.settle()
    assert not in_memory(staging.files / "weights")
    assert b"".join(staging.staged("weights")) == data
    assert staging.durable == at
    staging.close(discard=True)
    assert list(disk.glob("upload*")) == []
