"""What tenants have used, counted in memory. Pure: the clock is the caller's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tame_router.quota.limit import ANSWER_LIMITS, LIMITS, UPLOAD_LIMITS, Limit, Unit
from tame_router.quota.refusal import never_fits, streams_full, window_full
from tame_router.quota.window import Window
from tame_router.tenancy.tenant import Limits, Tenant

Note = Callable[[str, str, int, int], None]
"""Is told of every change: tenant, limit, step and amount."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A window and what is allowed in it."""

    limit: Limit
    cap: int
    window: Window
    sized: bool

    def amount(self, size: int) -> int:
        """Tell how much an answer of some tokens, or an adapter of some bytes, counts."""
        return size if self.sized else 1


class Account:
    """What one tenant has used, and may use."""

    __slots__ = ("answers", "limits", "name", "stream_cap", "streams", "uploads", "windows")

    def __init__(self, name: str) -> None:
        self.name = name
        self.limits = Limits()
        self.windows: dict[str, Window] = {}
        self.answers: tuple[Gauge, ...] = ()
        self.uploads: tuple[Gauge, ...] = ()
        self.stream_cap: int | None = None
        self.streams = 0

    @property
    def unlimited(self) -> bool:
        """Whether nothing limits answers."""
        return not self.answers and self.stream_cap is None

    def window(self, limit: Limit) -> Window:
        """Give the window of a limit."""
        found = self.windows.get(limit.name)
        if found is None:
            found = self.windows[limit.name] = Window(limit)
        return found

    def allow(self, limits: Limits) -> None:
        """Go by other limits from now on; what was counted stays."""
        self.limits = limits
        self.answers = self._gauges(ANSWER_LIMITS)
        self.uploads = self._gauges(UPLOAD_LIMITS)
        self.stream_cap = limits.concurrent_streams

    def _gauges(self, limits: tuple[Limit, ...]) -> tuple[Gauge, ...]:
        return tuple(
            Gauge(limit, cap, self.window(limit), limit.unit is not Unit.REQUESTS)
            for limit in limits
            if (cap := limit.cap(self.limits)) is not None
        )


@dataclass(slots=True)
class Hold:
    """What is set aside for one answer.

    Attributes:
        account: Whose.
        moment: When, in seconds since 1970.
        tokens: How many tokens.
        gauges: What it was counted in.
        lease: Name of the shared stream; empty: none.
    """

    account: Account
    moment: float
    tokens: int
    gauges: tuple[Gauge, ...]
    lease: str = ""


class Ledger:
    """Counts what tenants use. Not for several threads.

    Args:
        note: Is told of every change.
    """

    def __init__(self, note: Note | None = None) -> None:
        self._accounts: dict[str, Account] = {}
        self._note = note

    def account(self, tenant: Tenant) -> Account:
        """Give a tenant's account, with the limits as they are now."""
        account = self._accounts.get(tenant.name)
        if account is None:
            account = self._accounts[tenant.name] = Account(tenant.name)
        if account.limits is not tenant.limits:
            account.allow(tenant.limits)
        return account

    def admit(self, account: Account, tokens: int, now: float, share: float = 1.0) -> Hold:
        """Set aside a request, a stream and tokens: in all windows, or in none.

        Args:
            account: Whose.
            tokens: How many.
            now: Seconds since 1970.
            share: The part of each limit that is given out here, in (0, 1].

        Raises:
            QuotaExceededError: When a limit would be passed.
        """
        cap = account.stream_cap
        if cap is not None and account.streams >= part(cap, share):
            require_fit(account.answers, tokens)
            raise streams_full(part(cap, share), account.streams)
        require_room(account.answers, tokens, now, share)
        return self.hold(account, account.answers, tokens, now)

    def hold(self, account: Account, gauges: tuple[Gauge, ...], tokens: int, moment: float) -> Hold:
        """Set aside without asking whether it fits: another has decided that."""
        account.streams += 1
        self.count(account, gauges, tokens, moment)
        return Hold(account, moment, tokens, gauges)

    def settle(self, hold: Hold, tokens: int | None, now: float) -> list[tuple[Limit, int, int]]:
        """Count what was really used in place of what was set aside.

        What was not used is given back to the step it was taken from; what was used beyond
        it counts now.

        Args:
            hold: What was set aside.
            tokens: What was used; None: nothing, and the request is given back too.
            now: Seconds since 1970.

        Returns:
            The changes: limit, step, amount.
        """
        account = hold.account
        account.streams -= 1
        changes = []
        for gauge in hold.gauges:
            unused_request = -1 if tokens is None else 0
            amount = (tokens or 0) - hold.tokens if gauge.sized else unused_request
            if amount:
                step = gauge.limit.step(now if amount > 0 else hold.moment)
                changes.append((gauge.limit, step, amount))
                self._add(account, gauge, step, amount)
        return changes

    def take(self, account: Account, size: int, now: float, share: float = 1.0) -> None:
        """Count bytes of an adapter.

        Raises:
            QuotaExceededError: When the limit would be passed; nothing is counted then.
        """
        require_room(account.uploads, size, now, share)
        self.count(account, account.uploads, size, now)

    def restore(self, tenant: str, name: str, step: int, amount: int) -> None:
        """Take in what was counted before; what is not known any more is left out."""
        if name in LIMITS:
            account = self._accounts.setdefault(tenant, Account(tenant))
            account.window(LIMITS[name]).add(step, amount)

    def counts(self) -> Iterator[tuple[str, str, int, int]]:
        """Give all that is counted: tenant, limit, step, amount."""
        for account in self._accounts.values():
            for name, window in account.windows.items():
                for step, amount in window.counts.items():
                    yield account.name, name, step, amount

    def count(
        self, account: Account, gauges: tuple[Gauge, ...], amount: int, moment: float
    ) -> None:
        """Count an answer, or an adapter, of a size."""
        name, note = account.name, self._note
        for gauge in gauges:
            window, limit, size = gauge.window, gauge.limit, amount if gauge.sized else 1
            window.used(moment)  # lets go of what is too old, where nobody asks
            step = int(moment // limit.step_s)
            if window.add(step, size) and note:
                note(name, limit.name, step, size)

    def _add(self, account: Account, gauge: Gauge, step: int, amount: int) -> None:
        if gauge.window.add(step, amount) and self._note:
            self._note(account.name, gauge.limit.name, step, amount)


def part(cap: int, share: float) -> int:
    """Give a share of a limit: at least 1, except of a limit that is 0."""
    return cap if share == 1 else max(min(cap, 1), int(cap * share))


def require_fit(gauges: tuple[Gauge, ...], size: int) -> None:
    """Make sure that an answer, or an adapter, of a size is within all limits by itself.

    Raises:
        QuotaExceededError: When it is not; it does not say when to come back.
    """
    for gauge in gauges:
        if gauge.amount(size) > gauge.cap:
            raise never_fits(gauge.limit, gauge.cap, gauge.amount(size))


def require_room(gauges: tuple[Gauge, ...], size: int, now: float, share: float) -> None:
    """Make sure that all windows have room for an answer, or an adapter, of a size.

    Raises:
        QuotaExceededError: When one has not.
    """
    for gauge in gauges:
        amount = size if gauge.sized else 1
        used = gauge.window.used(now)
        cap = gauge.cap if share == 1 else part(gauge.cap, share)
        if used + amount > cap:
            require_fit(gauges, size)
            wait_s = gauge.window.wait_s(used + amount - cap, now)
            raise window_full(gauge.limit, cap, used, amount, wait_s)
