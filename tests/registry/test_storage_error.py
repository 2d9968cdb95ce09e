"""What callers and the operator are told when a disk or a bucket fails."""

import errno
import logging

import pytest

from tame_router.errors_registry import StorageFullError, StorageUnavailableError
from tame_router.registry.storage.storage_error import storage_error


def test_what_the_machine_says_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Callers learn nothing of its paths and limits; the operator learns all."""
    failure = OSError(errno.EMFILE, "Too many open files", "/var/lib/tame/uploads/x")
    with caplog.at_level(logging.ERROR):
        error = storage_error(failure)
    assert isinstance(error, StorageUnavailableError)
    assert "open files" not in error.message
    assert "/var" not in error.message
    assert error.retry_after_s
    (record,) = caplog.records
    assert record.message == "storage.failed"
    assert "Too many open files: '/var/lib" in str(vars(record)["facts"])


def test_no_room_is_told_as_such() -> None:
    """Whoever uploads can do something about it."""
    assert isinstance(storage_error(OSError(errno.ENOSPC, "full")), StorageFullError)
