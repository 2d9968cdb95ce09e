"""What Redis is still to be told: changes of counts and leases, put together as they come."""

from collections.abc import Iterable

from tame_router.quota.limit import LIMITS, Limit
from tame_router.quota.redis_link import Command
from tame_router.quota.redis_script import ADJUST

LEASE_MS = 30_000
"""Time after which the streams of a router that was killed are given back."""

MOST_CHANGES = 20_000
"""Changes from which those that are too old to count are looked for and dropped."""

Change = tuple[str, Limit, int]
"""Tenant, limit and step."""


def key(tenant: str, name: str) -> str:
    """Name what Redis keeps for a tenant; all of a tenant's lies together in a cluster."""
    return f"tame:quota:{{{tenant}}}:{name}"


class Outbox:
    """Gathers changes until they are taken out."""

    def __init__(self) -> None:
        self._amounts: dict[Change, int] = {}
        self._leases: dict[str, tuple[str, bool]] = {}

    def __bool__(self) -> bool:
        """Tell whether anything is to be told."""
        return bool(self._amounts or self._leases)

    def count(self, tenant: str, limit: Limit, step: int, amount: int) -> None:
        """Add an amount, which may be negative."""
        change = (tenant, limit, step)
        self._amounts[change] = self._amounts.get(change, 0) + amount

    def lease(self, name: str, tenant: str, *, held: bool) -> None:
        """Hold a lease for another while, or end it."""
        self._leases[name] = (tenant, held)

    def prune(self, now: float) -> None:
        """Drop what is too old to count, where much has gathered."""
        if len(self._amounts) > MOST_CHANGES:
            self._amounts = {
                change: amount
                for change, amount in self._amounts.items()
                if change[2] >= change[1].step(now) - change[1].steps
            }

    def take(self) -> "Outbox":
        """Take everything out."""
        taken = Outbox()
        taken._amounts, self._amounts = self._amounts, {}
        taken._leases, self._leases = self._leases, {}
        return taken

    def put_back(self, taken: "Outbox") -> None:
        """Take in again what may or may not have been told.

        What would be given back is left out: given back twice, more than the limit would be
        let in. Told twice is the lesser fault for the rest.
        """
        for (tenant, limit, step), amount in taken._amounts.items():
            if amount > 0:
                self.count(tenant, limit, step, amount)
        self._leases = {**taken._leases, **self._leases}

    def replace(self, counts: Iterable[tuple[str, str, int, int]]) -> None:
        """Tell these counts, whole, in place of all changes."""
        self._amounts = {
            (tenant, LIMITS[name], step): amount for tenant, name, step, amount in counts if amount
        }

    def commands(self) -> list[Command]:
        """Write what is to be told, a command a tenant."""
        tenants = {change[0] for change in self._amounts}
        tenants |= {tenant for tenant, _ in self._leases.values()}
        windows: dict[str, list[tuple[Limit, int, int]]] = {tenant: [] for tenant in tenants}
        for (tenant, limit, step), amount in self._amounts.items():
            if amount:
                windows[tenant].append((limit, step, amount))
        leases: dict[str, tuple[list[str], list[str]]] = {name: ([], []) for name in tenants}
        for name, (tenant, held) in self._leases.items():
            leases[tenant][not held].append(name)
        return [_command(name, windows[name], *leases[name]) for name in sorted(tenants)]


def _command(
    tenant: str, windows: list[tuple[Limit, int, int]], held: list[str], ended: list[str]
) -> Command:
    args: list[str | int] = [len(held), LEASE_MS, len(ended), *held, *ended]
    for limit, step, amount in windows:
        args += (limit.step_s, limit.steps, step, amount)
    keys = (key(tenant, "streams"), *(key(tenant, limit.name) for limit, _, _ in windows))
    return Command(ADJUST, keys, tuple(args))
