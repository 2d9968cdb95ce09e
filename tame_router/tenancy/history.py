"""The seam to what is remembered of tenants beside what they are now."""

from typing import Any, Protocol


class History(Protocol):
    """Remembers what tenants did, in the database that tenants are kept in.

    A connection is the store's own, in the transaction of a change.
    """

    def knows(self, connection: Any, tenant: str) -> bool:
        """Tell whether anything that a tenant of this name did is still recorded."""


class Forgetful:
    """Remembers nothing."""

    def knows(self, connection: Any, tenant: str) -> bool:
        """Tell that nothing is recorded."""
        return False
