"""Several routers that count together in Redis or Valkey, and each for itself while it is gone."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable

from tame_router.quota.courier import Answer, Courier
from tame_router.quota.ledger import Account, Gauge, Hold, Ledger, require_fit
from tame_router.quota.local import UNCOUNTED
from tame_router.quota.outbox import LEASE_MS, key
from tame_router.quota.quota import Reservation
from tame_router.quota.redis_link import Command, RedisLink
from tame_router.quota.redis_script import RESERVE
from tame_router.quota.refusal import streams_full, window_full
from tame_router.tenancy.tenant import Tenant


class SharedReservation:
    """What was set aside, in Redis or here, for one answer."""

    __slots__ = ("_hold", "_quota")

    def __init__(self, quota: "SharedQuota", hold: Hold) -> None:
        self._quota = quota
        self._hold: Hold | None = hold

    async def settle(self, tokens: int | None) -> None:
        """Count what was really used, without waiting; a second time counts nothing."""
        hold, self._hold = self._hold, None
        if hold is not None:
            self._quota.settle(hold, tokens)


class SharedQuota:
    """Counts in Redis, and beside that what this router uses, to go by while Redis is gone.

    Args:
        link: The connection.
        local_share: Share of each limit that this router gives out while Redis is gone, with
            what it gave out before in the same span; in (0, 1].
        watch: Is told when Redis goes (True) and when it is back (False).
    """

    def __init__(
        self, link: RedisLink, local_share: float, watch: Callable[[bool], None] | None = None
    ) -> None:
        self._ledger = Ledger()
        self._share = local_share
        self._courier = Courier(link, self._ledger.counts, self._now, watch)
        self._ahead_s = 0.0
        self._names = (f"{uuid.uuid4().hex[:12]}-{i}" for i in itertools.count())

    @property
    def degraded(self) -> bool:
        """Whether Redis is gone."""
        return self._courier.degraded

    def connect(self) -> None:
        """Begin to connect, so that the first caller need not wait for it."""
        self._courier.wake()

    async def reserve(self, tenant: Tenant, tokens: int) -> Reservation:
        """Set aside one request, one stream and some tokens.

        Raises:
            QuotaExceededError: When a limit would be passed; nothing is set aside then.
        """
        account = self._ledger.account(tenant)
        if account.unlimited:
            return UNCOUNTED
        gauges = account.answers
        require_fit(gauges, tokens)
        most = account.stream_cap
        lease = "" if most is None else next(self._names)
        answer = await self._ask(account, gauges, tokens, most, lease)
        if answer is None:
            hold = self._ledger.admit(account, tokens, self._now(), self._share)
            self._tell(account, hold.gauges, tokens, hold.moment)
        else:
            moment = _read(answer, gauges, tokens, most)
            hold = self._ledger.hold(account, gauges, tokens, moment)
        if lease:
            hold.lease = lease
            self._courier.leases[lease] = account.name
        return SharedReservation(self, hold)

    async def take_upload(self, tenant: Tenant, size_bytes: int) -> None:
        """Count bytes of an adapter that are about to be taken.

        Raises:
            QuotaExceededError: When the limit would be passed; nothing is counted then.
        """
        account = self._ledger.account(tenant)
        gauges = account.uploads
        if not gauges:
            return
        require_fit(gauges, size_bytes)
        answer = await self._ask(account, gauges, size_bytes, None, "")
        if answer is None:
            now = self._now()
            self._ledger.take(account, size_bytes, now, self._share)
            self._tell(account, gauges, size_bytes, now)
        else:
            moment = _read(answer, gauges, size_bytes, None)
            self._ledger.count(account, gauges, size_bytes, moment)

    def settle(self, hold: Hold, tokens: int | None) -> None:
        """Count what was really used, here and with the next batch in Redis."""
        outbox = self._courier.outbox
        name = hold.account.name
        for limit, step, amount in self._ledger.settle(hold, tokens, self._now()):
            outbox.count(name, limit, step, amount)
        if hold.lease:
            del self._courier.leases[hold.lease]
            outbox.lease(hold.lease, name, held=False)

    async def close(self) -> None:
        """Tell Redis what waits, and let go of it."""
        await self._courier.close()

    async def _ask(
        self,
        account: Account,
        gauges: tuple[Gauge, ...],
        size: int,
        most: int | None,
        lease: str,
    ) -> Answer:
        args: list[str | int] = [-1 if most is None else most, lease, LEASE_MS]
        for gauge in gauges:
            args += (gauge.limit.step_s, gauge.limit.steps, gauge.cap, gauge.amount(size))
        keys = [key(account.name, "streams"), *(key(account.name, g.limit.name) for g in gauges)]
        future = self._courier.ask(Command(RESERVE, tuple(keys), tuple(args)))
        try:
            answer = await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(
                lambda done: self._take_back(account, gauges, size, lease, done.result())
            )
            raise
        if answer is not None:
            self._ahead_s = answer[1] + answer[2] / 1e6 - time.time()
        return answer

    def _take_back(
        self, account: Account, gauges: tuple[Gauge, ...], size: int, lease: str, answer: Answer
    ) -> None:
        """Give back what was set aside for somebody who has gone meanwhile."""
        if answer is None or not answer[0]:
            return
        self._tell(account, gauges, size, answer[1], sign=-1)
        if lease:
            self._courier.outbox.lease(lease, account.name, held=False)

    def _tell(
        self,
        account: Account,
        gauges: tuple[Gauge, ...],
        size: int,
        moment: float,
        sign: int = 1,
    ) -> None:
        outbox = self._courier.outbox
        for gauge in gauges:
            step = gauge.limit.step(moment)
            outbox.count(account.name, gauge.limit, step, sign * gauge.amount(size))

    def _now(self) -> float:
        """Give the time by the clock of Redis, as far as it has been heard."""
        return time.time() + self._ahead_s


def _read(answer: list[int], gauges: tuple[Gauge, ...], size: int, most: int | None) -> float:
    """Give the moment something was set aside at.

    Raises:
        QuotaExceededError: When it was not.
    """
    if answer[0]:
        return float(answer[1])
    which, used, wait_s = answer[3:]
    if not which:
        raise streams_full(most or 0, used)
    gauge = gauges[which - 1]
    raise window_full(gauge.limit, gauge.cap, used, gauge.amount(size), wait_s)
