"""One router that counts for itself: exact, and by heart again after a restart."""

import asyncio
import time
from collections.abc import Callable

from tame_router.quota.keeper import Keeper
from tame_router.quota.ledger import Hold, Ledger
from tame_router.quota.quota import Reservation, Unlimited
from tame_router.tenancy.tenant import Tenant

UNCOUNTED = Unlimited()
"""What is set aside for a tenant without limits."""

Clock = Callable[[], float]
"""Gives seconds since 1970."""


class LocalReservation:
    """What one router has set aside for one answer."""

    __slots__ = ("_clock", "_hold", "_ledger")

    def __init__(self, ledger: Ledger, hold: Hold, clock: Clock) -> None:
        self._ledger = ledger
        self._hold: Hold | None = hold
        self._clock = clock

    async def settle(self, tokens: int | None) -> None:
        """Count what was really used; a second time counts nothing."""
        hold, self._hold = self._hold, None
        if hold is not None:
            self._ledger.settle(hold, tokens, self._clock())


class LocalQuota:
    """Counts in this process, on one event loop.

    Args:
        keeper: Remembers the counts; None: they end with the process.
        clock: Gives seconds since 1970.
    """

    def __init__(self, keeper: Keeper | None = None, clock: Clock = time.time) -> None:
        self._keeper = keeper
        self._clock = clock
        self._ledger = Ledger(keeper.note if keeper else None)
        self._loaded = keeper is None
        self._loading = asyncio.Lock()

    async def reserve(self, tenant: Tenant, tokens: int) -> Reservation:
        """Set aside one request, one stream and some tokens.

        Raises:
            QuotaExceededError: When a limit would be passed; nothing is set aside then.
            StoreUnavailableError: When it cannot be read what was used before.
        """
        account = self._ledger.account(tenant)
        if account.unlimited:
            return UNCOUNTED
        if not self._loaded:
            await self._load()
        hold = self._ledger.admit(account, tokens, self._clock())
        return LocalReservation(self._ledger, hold, self._clock)

    async def take_upload(self, tenant: Tenant, size_bytes: int) -> None:
        """Count bytes of an adapter that are about to be taken.

        Raises:
            QuotaExceededError: When the limit would be passed; nothing is counted then.
            StoreUnavailableError: When it cannot be read what was used before.
        """
        account = self._ledger.account(tenant)
        if not account.uploads:
            return
        if not self._loaded:
            await self._load()
        self._ledger.take(account, size_bytes, self._clock())

    async def close(self) -> None:
        """Write what is not written yet."""
        if self._keeper:
            await self._keeper.close()

    async def _load(self) -> None:
        """Take in what was used before this process began; once."""
        async with self._loading:
            if self._loaded or self._keeper is None:
                return
            for row in await self._keeper.load():
                self._ledger.restore(*row)
            self._loaded = True
