"""The seam to what a tenant may still use."""

from typing import Protocol

from tame_router.tenancy.tenant import Tenant


class Reservation(Protocol):
    """What was set aside for one answer."""

    async def settle(self, tokens: int | None) -> None:
        """Count what was really used, in place of what was set aside. Called once, never raises.

        Args:
            tokens: Tokens read and written; None: all is given back, the request too.
        """


class Quota(Protocol):
    """Counts what tenants use."""

    async def reserve(self, tenant: Tenant, tokens: int) -> Reservation:
        """Set aside one request, one stream and some tokens.

        Args:
            tenant: Who asks, with its limits.
            tokens: What the answer may take, at the most that can be told beforehand.

        Raises:
            QuotaExceededError: When a limit would be passed; nothing is set aside then.
        """

    async def take_upload(self, tenant: Tenant, size_bytes: int) -> None:
        """Count bytes of an adapter that are about to be taken.

        Raises:
            QuotaExceededError: When the limit would be passed; nothing is counted then.
        """

    async def close(self) -> None:
        """Let go of what is held."""


class Unlimited:
    """Counts nothing."""

    async def reserve(self, tenant: Tenant, tokens: int) -> "Unlimited":
        """Allow it."""
        return self

    async def take_upload(self, tenant: Tenant, size_bytes: int) -> None:
        """Allow it."""

    async def settle(self, tokens: int | None) -> None:
        """Count nothing."""

    async def close(self) -> None:
        """Hold nothing."""
