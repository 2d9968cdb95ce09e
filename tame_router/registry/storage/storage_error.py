"""What a failure of a disk or a bucket is called: no room, or not to be had now."""

import errno
import logging

from tame_router.errors_registry import RegistryError, StorageFullError, StorageUnavailableError

_LOGGER = logging.getLogger(__name__)  # engines come here too, without what settings need

RETRY_AFTER_S = 5.0
"""When another try makes sense where the storage does not say."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def storage_error(error: BaseException) -> RegistryError:
    """Give the error of ours for one of the storage's, and log what it said.

    The message, which callers see, tells nothing of this machine: no path, no limit of its own.
    """
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return StorageFullError(
            "the adapters' storage has no room left; nothing of this was kept: free some with"
            " `tame adapter gc`, or give it more"
        )
    said = f"{type(error).__name__}: {error}"
    _LOGGER.error("storage.failed", extra={"facts": {"because": said}})
    return StorageUnavailableError(
        "the adapters' storage cannot be used now; nothing was changed: try again; the operator"
        " finds the reason in the log",
        retry_after_s=RETRY_AFTER_S,
    )
