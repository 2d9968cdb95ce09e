"""The lock under which records change, and the numbers that it gives out.

Every change first writes the one row of `adapter_counter`. That row is then locked until the
change is kept, so that changes follow one another on every database and each sees all before
it: whatever is read in between still holds when it is written.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, select

from tame_router.registry.record import LabelChange
from tame_router.registry.records.tables import COUNTER
from tame_router.registry.state import State
from tame_router.store import Database

_COUNTED = (COUNTER.c.sequence, COUNTER.c.generation, COUNTER.c.history)

Clock = Callable[[], datetime]
"""Gives the present moment, UTC."""


def present() -> datetime:
    """Give the present moment, UTC."""
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Writing:
    """A change that is being made.

    Attributes:
        connection: Its transaction.
        now: When it is made, UTC.
        sequence: Number of the last change of a state.
        generation: Moves of all labels.
        history: Digest of the last of these.
        states: States that revisions have come into with it, in order.
        moves: Moves of labels in it, in order.
    """

    connection: Connection
    now: datetime
    sequence: int
    generation: int
    history: str
    states: list[State] = field(default_factory=list)
    moves: list[LabelChange] = field(default_factory=list)


Kept = Callable[[Writing], None]
"""Takes note of a change that is kept."""


class Ledger:
    """What all stores of the registry stand on. Synchronous; threads may share it.

    Args:
        database: Where the tables are.
        clock: Tells the time of changes.
        kept: Called after each change that is kept, by the thread that made it.

    Raises:
        StoreUnavailableError: When the database cannot be used; from every method.
    """

    def __init__(
        self, database: Database, clock: Clock = present, kept: Kept = lambda _: None
    ) -> None:
        self._database = database
        self._clock = clock
        self._kept = kept

    def sequence(self) -> int:
        """Give the number of the last change of a state; 0: there was none."""
        with self._database.transaction() as connection:
            return int(connection.execute(select(COUNTER.c.sequence)).scalar_one())

    def generation(self) -> int:
        """Count the moves of all labels; a cheap way to learn whether any has moved."""
        with self._database.transaction() as connection:
            return int(connection.execute(select(COUNTER.c.generation)).scalar_one())

    @contextmanager
    def _changing(self) -> Iterator[Writing]:
        """Give a transaction in which nobody else changes anything."""
        with self._database.transaction() as connection:
            connection.execute(COUNTER.update().values(sequence=COUNTER.c.sequence))
            row = connection.execute(select(*_COUNTED)).one()
            writing = Writing(
                connection=connection,
                now=self._clock(),
                sequence=row.sequence,
                generation=row.generation,
                history=row.history,
            )
            yield writing
            moved = {column.name: getattr(writing, column.name) for column in _COUNTED}
            if moved != row._mapping:
                connection.execute(COUNTER.update().values(moved))
        self._kept(writing)
