"""Where counts outlive the process: one table of amounts by tenant, limit and step."""

from collections.abc import Iterable, Mapping

from sqlalchemy import BigInteger, Column, String, Table, bindparam, delete, select

from tame_router.quota.limit import LIMITS
from tame_router.store import METADATA, Database

COUNTS = Table(
    "quota_counts",
    METADATA,
    Column("tenant", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("amount", BigInteger, nullable=False),
)
"""A step's number times the length of the limit's steps is its begin, in seconds since 1970."""

# Made once: making a statement takes longer than running it.
_ADD = (
    COUNTS.update()
    .where(COUNTS.c.tenant == bindparam("of"))
    .where(COUNTS.c.name == bindparam("limit"))
    .where(COUNTS.c.step == bindparam("at"))
    .values(amount=COUNTS.c.amount + bindparam("more"))
)
_MAKE = COUNTS.insert().values(
    tenant=bindparam("of"), name=bindparam("limit"), step=bindparam("at"), amount=bindparam("more")
)

Key = tuple[str, str, int]
"""Tenant, limit and step."""


class CounterStore:
    """Keeps counts in a database. Synchronous; several routers may add to the same counts.

    Args:
        database: Where the table is, or is to be made.

    Raises:
        StoreUnavailableError: When the database cannot be used; from every method as well.
    """

    def __init__(self, database: Database) -> None:
        database.create(COUNTS)
        self._database = database

    def load(self, now: float) -> Iterable[tuple[str, str, int, int]]:
        """Give what still counts at a moment, and drop the rest: tenant, limit, step, amount."""
        with self._database.transaction() as connection:
            for limit in LIMITS.values():
                old = COUNTS.c.step < limit.step(now) - limit.steps
                connection.execute(delete(COUNTS).where((COUNTS.c.name == limit.name) & old))
            return [
                (r.tenant, r.name, r.step, r.amount) for r in connection.execute(select(COUNTS))
            ]

    def add(self, changes: Mapping[Key, int]) -> None:
        """Add to the counts: all of it, or nothing after an error.

        Raises:
            IntegrityError: SQLAlchemy's, when another router makes the same row at this moment;
                the next try finds it.
        """
        with self._database.transaction() as connection:
            # One order of rows for all routers: none waits for another that waits for it.
            for (tenant, name, step), amount in sorted(changes.items()):
                row = {"of": tenant, "limit": name, "at": step, "more": amount}
                if not connection.execute(_ADD, row).rowcount:
                    connection.execute(_MAKE, row)
