"""What a failure of a disk or a bucket is called: no room, or not to be had now."""

import errno

from tame_router.errors_registry import RegistryError, StorageFullError, StorageUnavailableError

RETRY_AFTER_S = 5.0
"""When another try makes sense where the storage does not say."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def storage_error(error: BaseException) -> RegistryError:
    """Give the error of ours for one of the storage's; its message holds no path."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return StorageFullError(
            "the adapters' storage has no room left; nothing of this was kept: free some with"
            " `tame adapter gc`, or give it more"
        )
    said = error.strerror if isinstance(error, OSError) else None
    return StorageUnavailableError(
        f"the adapters' storage cannot be used now ({said or type(error).__name__}); nothing was"
        " changed: try again, and see that it is there and may be written",
        retry_after_s=RETRY_AFTER_S,
    )
