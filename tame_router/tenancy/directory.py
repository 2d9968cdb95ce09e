"""The seam to what is known of tenants now."""

from typing import Protocol

from tame_router.tenancy.snapshot import Snapshot


class Directory(Protocol):
    """Knows the tenants."""

    def snapshot(self) -> Snapshot:
        """Give what is known now, without waiting.

        Raises:
            StoreUnavailableError: When what is known is too old to go by.
        """
