"""The history of labels as its chain, for those who prove it: read, and changed by nothing."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, inspect, select

from tame_router.audit.chain import NOTHING, Head
from tame_router.audit.export import chain_lines
from tame_router.audit.verification import Fault
from tame_router.registry.records.label_line import CHAIN, move_link
from tame_router.registry.records.tables import COUNTER, LABEL, LABEL_CHANGE
from tame_router.store import Database

BATCH: Final = 1_000
"""Moves read at once, so that memory stays the same however many there are."""

STANDS: Final = ("live", "canary", "canary_share", "mode", "generation")
"""What a label says as well as its last move."""


class LabelHistory:
    """Reads the chain of moves from a database. Synchronous.

    Args:
        database: Where the registry's tables are, if it was ever used.

    Raises:
        StoreUnavailableError: When the database cannot be used; from every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def lines(self) -> Iterator[str]:
        """Give all moves in the form of an audit's export; nothing, where no label ever moved."""
        with self._database.transaction() as connection:
            if not _chained(connection):
                return
            found = connection.execute(select(COUNTER)).one()
            rows = connection.execute(_page(None)).all()
        head = Head(chain=CHAIN, seq=found.generation, digest=str(found.history))
        if not rows and (head.seq, head.digest) == (0, NOTHING):
            return
        yield from chain_lines(Head(chain=CHAIN), self._links(rows, head), head)

    def compare(self) -> list[Fault]:
        """Compare each label with its last move; empty: all fit."""
        faults = []
        with self._database.reading() as connection:
            if not _chained(connection):
                return []
            last: dict[Any, Any] = {}
            rows: Any = connection.execute(_page(None)).all()
            while rows:
                for row in rows:
                    known = last.setdefault(row.expert, row)
                    if _behind(row.generation, known.generation):
                        last[row.expert] = row
                rows = connection.execute(_page(rows[-1])).all() if len(rows) == BATCH else []
            labels = {row.expert: row for row in connection.execute(select(LABEL))}
        for expert in sorted(last.keys() | labels.keys(), key=str):
            move, label = last.get(expert), labels.get(expert)
            if move is None or label is None or _standing(move) != _standing(label):
                what = f"the label of {expert} is not where its last move has put it"
                faults.append(Fault(chain=CHAIN, seq=0, message=what))
        return faults

    def _links(self, rows: Any, head: Head) -> Iterator[Any]:
        while rows:
            for row in rows:
                if _behind(row.number, head.seq) and self._grown(head):
                    return  # moved since the head was read
                yield move_link(row.number, row.previous, row._mapping)
            if len(rows) < BATCH:
                return
            with self._database.transaction() as connection:
                rows = connection.execute(_page(rows[-1])).all()

    def _grown(self, head: Head) -> bool:
        """Tell whether labels have moved since the head was read."""
        with self._database.transaction() as connection:
            return _behind(connection.execute(select(COUNTER.c.generation)).scalar(), head.seq)


def _page(last: Any) -> Any:
    """Ask for the moves behind one, in order of the chain; None: from the first."""
    order = (LABEL_CHANGE.c.number, LABEL_CHANGE.c.expert, LABEL_CHANGE.c.generation)
    query = select(LABEL_CHANGE).order_by(*order).limit(BATCH)
    if last is None:
        return query
    number, expert, generation = order
    behind = (number == last.number) & (
        (expert > last.expert) | ((expert == last.expert) & (generation > last.generation))
    )
    return query.where((number > last.number) | behind)


def _behind(number: Any, other: Any) -> bool:
    return isinstance(number, int) and isinstance(other, int) and number > other


def _standing(row: Any) -> list[Any]:
    return [row._mapping[name] for name in STANDS]


def _chained(connection: Connection) -> bool:
    """Tell whether the tables are there, and of a version that chains."""
    tables = inspect(connection)
    if not tables.has_table(COUNTER.name):
        return False
    return "history" in {column["name"] for column in tables.get_columns(COUNTER.name)}
