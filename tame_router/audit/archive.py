"""Reading what audit has put into the store, in pieces, and dropping what is too old."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, delete, select, true, tuple_, type_coerce

from tame_router.audit.chain import Head, Link
from tame_router.audit.comparison import (
    SEARCHED,
    Comparison,
    KeptText,
    Row,
    fault_at,
    read_usage,
)
from tame_router.audit.entry import CHANGES, microseconds
from tame_router.audit.export import chain_lines
from tame_router.audit.lookup import Kept, Place, Wanted
from tame_router.audit.pruning import PRUNES, Order, Prefix, pruned
from tame_router.audit.store import extend
from tame_router.audit.tables import CHAINS, RECORDS, TABLES, TEXTS, USAGE
from tame_router.audit.verification import Fault
from tame_router.store import Database

BATCH = 1_000
"""Records read at once, so that memory stays the same however many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How much was dropped."""

    records: int
    texts: int


class Archive:
    """Reads audit records from a database, and drops old ones. Synchronous.

    Args:
        database: Where the tables are, or are to be made.

    Raises:
        StoreUnavailableError: When the database cannot be used; from every method as well.
    """

    def __init__(self, database: Database) -> None:
        for table in TABLES:
            database.create(table)
        self._database = database

    def lines(self) -> Iterator[str]:
        """Give everything in the form of an export; each chain as far as it was at its turn.

        What was put into the store by hand is given as it is found, as text: SQLite holds
        anything in any column.
        """
        after = ""
        while True:
            with self._database.transaction() as connection:
                query = select(CHAINS).where(CHAINS.c.chain > after).order_by(CHAINS.c.chain)
                found = connection.execute(query.limit(1)).one_or_none()
            if found is None:
                return
            after = found.chain
            start = _head(after, found.pruned_seq, found.pruned_digest)
            head = _head(after, found.seq, found.digest)
            yield from chain_lines(start, self._links(after, head), head)

    def find(self, wanted: Wanted) -> Iterator[Kept]:
        """Give records, the oldest first, with the texts that are kept."""
        after: Place | None = None
        while True:
            found = self.page(wanted, after, BATCH)
            yield from found
            if len(found) < BATCH:
                return
            after = found[-1].place

    def page(self, wanted: Wanted, after: Place | None, most: int) -> list[Kept]:
        """Give some records, the oldest first, with the texts that are kept.

        Args:
            wanted: Which.
            after: Those behind this place; None: from the first.
            most: How many at the most, ≥ 1.
        """
        order = (RECORDS.c.begin_time_us, RECORDS.c.chain, RECORDS.c.seq)
        same = (TEXTS.c.chain == RECORDS.c.chain) & (TEXTS.c.seq == RECORDS.c.seq)
        joined = RECORDS.outerjoin(TEXTS, same)
        query = select(*order, RECORDS.c.line, TEXTS.c.question, TEXTS.c.answer).select_from(joined)
        query = query.where(_which(wanted)).order_by(*order).limit(most)
        if after is not None:
            query = query.where(tuple_(*order) > tuple_(after.time_us, after.chain, after.seq))
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
        return [
            Kept(
                place=Place(time_us=row.begin_time_us, chain=row.chain, seq=row.seq),
                line=_text(row.line),
                question=None if row.question is None else _text(row.question),
                answer=None if row.answer is None else _text(row.answer),
            )
            for row in rows
        ]

    def compare(self) -> list[Fault]:
        """Compare columns, texts and use with what is chained; empty: all fit.

        All is read at one moment, so that a router may write meanwhile.
        """
        comparison = Comparison()
        place = (RECORDS.c.chain, RECORDS.c.seq)
        same = (TEXTS.c.chain == RECORDS.c.chain) & (TEXTS.c.seq == RECORDS.c.seq)
        texts = (TEXTS.c.salt, TEXTS.c.question, TEXTS.c.answer)
        query = select(RECORDS, *texts).select_from(RECORDS.outerjoin(TEXTS, same))
        query = query.order_by(*place).limit(BATCH)
        further: ColumnElement[bool] = true()
        with self._database.reading() as connection:
            while rows := connection.execute(query.where(further)).all():
                for row in rows:
                    comparison.take(_row(row))
                last = rows[-1]
                further = tuple_(*place) > tuple_(last.chain, last.seq)
            # As text: SQLite gives what is no day only to those who do not ask for one.
            day = type_coerce(USAGE.c.day, String).label("day")
            columns = [day if column is USAGE.c.day else column for column in USAGE.c]
            used = connection.execute(select(*columns).order_by(*USAGE.primary_key)).all()
            read = [read_usage(row._asdict()) for row in used]
            faults = comparison.finish(usage for usage in read if usage is not None)
            for row, usage in zip(used, read, strict=True):
                if usage is None:
                    what = f"use of {row.expert or '-'} by {row.tenant} on {row.day}"
                    faults.append(fault_at("", 0, f"{what} cannot be read"))
            alone = select(TEXTS.c.chain, TEXTS.c.seq).outerjoin(RECORDS, same)
            for row in connection.execute(alone.where(RECORDS.c.seq.is_(None))):
                what = f"texts are kept of record {row.seq}, which is not there"
                faults.append(fault_at(row.chain, row.seq, what))
        return faults

    def prune(self, order: Order) -> Pruned:
        """Drop records that are too old, and texts whose time is over.

        A chain loses its oldest records only, up to the first that is young enough, by the time
        that is chained. Where the rest begins is kept with the chain, and each prune leaves a
        record in a chain of its own, so that what is left still verifies.
        """
        records = 0
        with self._database.transaction() as connection:
            over = TEXTS.c.delete_time_us <= microseconds(order.now)
            texts = connection.execute(delete(TEXTS).where(over)).rowcount
            chains = connection.execute(select(CHAINS.c.chain)).scalars().all()
        for chain in chains:
            if chain != PRUNES:
                with self._database.transaction() as connection:
                    records += _prune_chain(connection, chain, order)
        return Pruned(records=records, texts=texts)

    def _links(self, chain: str, head: Head) -> Iterator[Link]:
        last = -1
        while True:
            query = (
                select(RECORDS.c.seq, RECORDS.c.line)
                .where(RECORDS.c.chain == chain, RECORDS.c.seq > last)
                .order_by(RECORDS.c.seq)
                .limit(BATCH)
            )
            with self._database.transaction() as connection:
                rows = connection.execute(query).all()
            for row in rows:
                if _behind(row.seq, head.seq) and self._grown(head):
                    return  # written since the head was read
                yield Link(chain=head.chain, seq=row.seq, line=_text(row.line))
            if len(rows) < BATCH:
                return
            last = rows[-1].seq

    def _grown(self, head: Head) -> bool:
        """Tell whether a chain has gone on since its head was read."""
        with self._database.transaction() as connection:
            query = select(CHAINS.c.seq).where(CHAINS.c.chain == head.chain)
            return _behind(connection.execute(query).scalar_one_or_none(), head.seq)


def _prune_chain(connection: Connection, chain: str, order: Order) -> int:
    mine = CHAINS.c.chain == chain
    # A change of nothing: whoever else prunes this chain waits here.
    connection.execute(CHAINS.update().where(mine).values(pruned_seq=CHAINS.c.pruned_seq))
    found = connection.execute(select(CHAINS).where(mine)).one()
    prefix = Prefix(
        end=Head(chain=chain, seq=found.pruned_seq, digest=found.pruned_digest),
        before=order.before,
    )
    records, last = RECORDS.c.chain == chain, found.pruned_seq
    while not prefix.over:
        query = select(RECORDS.c.seq, RECORDS.c.line).where(records, RECORDS.c.seq > last)
        rows = connection.execute(query.order_by(RECORDS.c.seq).limit(BATCH)).all()
        prefix.take(row.line for row in rows)
        if len(rows) < BATCH:
            prefix.close(Head(chain=chain, seq=found.seq, digest=found.digest))
        else:
            last = rows[-1].seq
    end = prefix.end
    if not prefix.records:
        return 0
    change: dict[str, Any] = {"pruned_seq": end.seq, "pruned_digest": end.digest}
    connection.execute(CHAINS.update().where(mine).values(change))
    connection.execute(delete(RECORDS).where(records, RECORDS.c.seq <= end.seq))
    connection.execute(delete(TEXTS).where(TEXTS.c.chain == chain, TEXTS.c.seq <= end.seq))
    extend(connection, PRUNES, [pruned(order, end, prefix.records)], order.now)
    return prefix.records


def _which(wanted: Wanted) -> ColumnElement[bool]:
    which: ColumnElement[bool] = RECORDS.c.answer_id != ""
    if wanted.changes:
        which = RECORDS.c.chain == CHANGES
    if wanted.tenant:
        which &= RECORDS.c.tenant == wanted.tenant
    if wanted.since is not None:
        which &= RECORDS.c.begin_time_us >= microseconds(wanted.since)
    if wanted.until is not None:
        which &= RECORDS.c.begin_time_us < microseconds(wanted.until)
    if wanted.answer_id:
        which &= RECORDS.c.answer_id == wanted.answer_id
    return which


def _row(row: Any) -> Row:
    text = None
    if row.salt is not None:
        text = KeptText(
            salt=_bytes(row.salt), question=_bytes(row.question), answer=_bytes(row.answer)
        )
    searched = {name: row._mapping[name] for name in SEARCHED}
    return Row(chain=row.chain, seq=row.seq, line=_text(row.line), searched=searched, text=text)


def _head(chain: Any, seq: Any, digest: Any) -> Head:
    number = seq if isinstance(seq, int) else _text(seq)
    return Head(chain=_text(chain), seq=number, digest=_text(digest))  # type: ignore[arg-type]  # a fault for whoever reads it


def _behind(seq: Any, other: Any) -> bool:
    return isinstance(seq, int) and isinstance(other, int) and seq > other


def _bytes(kept: Any) -> bytes:
    return kept.encode("utf-8", "surrogatepass") if isinstance(kept, str) else _raw(kept)


def _raw(kept: Any) -> bytes:
    return bytes(kept) if isinstance(kept, (bytes, memoryview)) else repr(kept).encode()


def _text(kept: Any) -> str:
    if isinstance(kept, str):
        if kept.isascii():
            return kept
        return kept.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _raw(kept).decode("utf-8", "replace")
