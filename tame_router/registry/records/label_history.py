"""The history of labels as its chain, for those who prove it: read, and changed by nothing."""

from collections.abc import Iterator
from typing import Any, Final

from tame_router.audit.chain import NOTHING, Head
from tame_router.audit.export import chain_lines
from tame_router.audit.verification import Fault
from tame_router.registry.records.label_line import CHAIN, move_link
from tame_router.registry.records.label_move import chained, read_head, read_labels, read_moves
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
            if not chained(connection):
                return
            head = read_head(connection)
            rows = read_moves(connection, BATCH)
        if not rows and (head.seq, head.digest) == (0, NOTHING):
            return
        yield from chain_lines(Head(chain=CHAIN), self._links(rows, head), head)

    def compare(self) -> list[Fault]:
        """Compare each label with its last move; empty: all fit."""
        faults = []
        with self._database.reading() as connection:
            if not chained(connection):
                return []
            last: dict[Any, Any] = {}
            rows: Any = read_moves(connection, BATCH)
            while rows:
                for row in rows:
                    known = last.setdefault(row.expert, row)
                    if _behind(row.generation, known.generation):
                        last[row.expert] = row
                rows = read_moves(connection, BATCH, rows[-1]) if len(rows) == BATCH else []
            labels = {row.expert: row for row in read_labels(connection)}
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
                rows = read_moves(connection, BATCH, rows[-1])

    def _grown(self, head: Head) -> bool:
        """Tell whether labels have moved since the head was read."""
        with self._database.transaction() as connection:
            return _behind(read_head(connection).seq, head.seq)


def _behind(number: Any, other: Any) -> bool:
    return isinstance(number, int) and isinstance(other, int) and number > other


def _standing(row: Any) -> list[Any]:
    return [row._mapping[name] for name in STANDS]
