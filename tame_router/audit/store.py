"""Where audit records are put, each batch with its chain's head in one transaction."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from tame_router.audit.chain import Head, Link, link
from tame_router.audit.entry import Entry, closing, microseconds, opening
from tame_router.audit.line import link_answers
from tame_router.audit.tables import CHAINS, RECORDS, TABLES, TEXTS, USAGE
from tame_router.audit.usage import COUNTS, Usage, add_up, lead
from tame_router.errors import StoreUnavailableError
from tame_router.store import Database

_KEY = ("tenant", "day", "expert")

# Made once: making a statement takes longer than running it.
_MOVE = (
    CHAINS.update()
    .where(CHAINS.c.chain == bindparam("at"))
    .where(CHAINS.c.digest == bindparam("left"))
    .values(seq=bindparam("to_seq"), digest=bindparam("to"))
)
_PUT = RECORDS.insert()


class AuditStore:
    """Puts audit records into a database. Synchronous; one thread per chain.

    Args:
        database: Where the tables are, or are to be made.

    Raises:
        StoreUnavailableError: When the database cannot be used; from every method as well.
    """

    def __init__(self, database: Database) -> None:
        for table in TABLES:
            database.create(table)
        self._database = database

    def begin(self, chain: str, start: datetime, facts: dict[str, str]) -> Head:
        """Begin a chain with its opening record, and give its head; again, the same."""
        links, head = link(Head(chain=chain), [opening(start, facts)])
        with self._changing(chain) as connection:
            there = connection.execute(select(CHAINS.c.chain).where(CHAINS.c.chain == chain))
            if there.one_or_none() is None:
                first = Head(chain=chain)
                connection.execute(
                    CHAINS.insert().values(
                        chain=chain,
                        seq=head.seq,
                        digest=head.digest,
                        pruned_seq=first.seq,
                        pruned_digest=first.digest,
                    )
                )
                connection.execute(RECORDS.insert(), [_row(links[0], microseconds(start))])
        return head

    def append(self, head: Head, entries: Sequence[Entry], salts: Sequence[bytes]) -> Head:
        """Put records behind a chain's head, and give the new head.

        Called again with the same arguments after an error, it puts them there once: a commit
        may have been done although its answer was lost.

        Args:
            head: How far the chain has come.
            entries: What is to be kept; not empty.
            salts: Random bytes for each of them.
        """
        links, moved = link_answers(head, entries, salts)
        with self._changing(head.chain) as connection:
            if not _move(connection, head, moved):
                return moved
            rows = [_answer_row(at, entry) for at, entry in zip(links, entries, strict=True)]
            connection.execute(_PUT, rows)
            kept = [
                _text_row(at, entry, salt)
                for at, entry, salt in zip(links, entries, salts, strict=True)
                if entry.texts
            ]
            if kept:
                connection.execute(TEXTS.insert(), kept)
            _count(connection, add_up(entry.record for entry in entries))
        return moved

    def end(self, head: Head, at: datetime) -> None:
        """Put the closing record behind a chain's head."""
        links, moved = link(head, [closing(at)])
        with self._changing(head.chain) as connection:
            if _move(connection, head, moved):
                connection.execute(RECORDS.insert(), [_row(links[0], microseconds(at))])

    def usage(self, tenant: str, first: date, last: date) -> list[Usage]:
        """Give what a tenant has used from a day to another, both counted, by day and expert.

        Args:
            tenant: Whose; empty: of all tenants.
            first: The first day.
            last: The last day.
        """
        query = select(USAGE).where(USAGE.c.day.between(first, last))
        if tenant:
            query = query.where(USAGE.c.tenant == tenant)
        query = query.order_by(USAGE.c.tenant, USAGE.c.day, USAGE.c.expert)
        with self._database.transaction() as connection:
            return [Usage(**row._mapping) for row in connection.execute(query)]

    @contextmanager
    def _changing(self, chain: str) -> Iterator[Connection]:
        try:
            with self._database.transaction() as connection:
                yield connection
        except IntegrityError as error:
            raise StoreUnavailableError(
                f"audit chain {chain} has records in the store that this router did not put"
                " there; run `tame audit verify`"
            ) from error


def recorded(connection: Connection, tenant: str) -> bool:
    """Tell whether answers to a tenant, or its use, are recorded."""
    used = select(USAGE.c.tenant).where(USAGE.c.tenant == tenant).limit(1)
    mine = (RECORDS.c.tenant == tenant) & (RECORDS.c.answer_id != "")
    answered = select(RECORDS.c.tenant).where(mine).limit(1)
    return any(connection.execute(query).first() for query in (used, answered))


def extend(
    connection: Connection, chain: str, contents: Sequence[dict[str, Any]], at: datetime
) -> None:
    """Put records into a chain that all share, and begin it where it is not there yet.

    Args:
        connection: A transaction; others that extend the chain wait until it ends.
        chain: Names the chain.
        contents: JSON values.
        at: When, UTC.
    """
    first = Head(chain=chain)
    statement = (
        _dialect(connection)
        .insert(CHAINS)
        .values(
            chain=chain,
            seq=first.seq,
            digest=first.digest,
            pruned_seq=first.seq,
            pruned_digest=first.digest,
        )
    )
    # Where the chain is there, its row is locked by a change of nothing.
    statement = statement.on_conflict_do_update(
        index_elements=["chain"], set_={"seq": CHAINS.c.seq}
    )
    connection.execute(statement)
    found = connection.execute(select(CHAINS).where(CHAINS.c.chain == chain)).one()
    head = Head(chain=chain, seq=found.seq, digest=found.digest)
    links, moved = link(head, contents)
    _move(connection, head, moved)
    rows = [
        {**_row(made, microseconds(at)), "tenant": value.get("tenant", "")}
        for made, value in zip(links, contents, strict=True)
    ]
    connection.execute(RECORDS.insert(), rows)


def _move(connection: Connection, head: Head, moved: Head) -> bool:
    """Move a head on; False: it has been moved there before."""
    place = {"at": head.chain, "left": head.digest, "to_seq": moved.seq, "to": moved.digest}
    if connection.execute(_MOVE, place).rowcount:
        return True
    query = select(CHAINS.c.digest).where(CHAINS.c.chain == head.chain)
    if connection.execute(query).scalar_one_or_none() == moved.digest:
        return False
    raise StoreUnavailableError(
        f"the head of audit chain {head.chain} in the store is not the one this router left"
        " there; run `tame audit verify`"
    )


def _count(connection: Connection, sums: Iterable[Usage]) -> None:
    statement = _adding(connection.dialect.name)
    for found in sums:
        connection.execute(statement, {name: getattr(found, name) for name in (*_KEY, *COUNTS)})


@cache
def _adding(dialect: str) -> Insert:
    """Give the statement that adds to a row of use, or makes it."""
    insert = sqlite.insert(USAGE) if dialect == "sqlite" else postgresql.insert(USAGE)
    statement = insert.values({name: bindparam(name) for name in (*_KEY, *COUNTS)})
    return statement.on_conflict_do_update(
        index_elements=list(_KEY),
        set_={name: USAGE.c[name] + statement.excluded[name] for name in COUNTS},
    )


def _dialect(connection: Connection) -> Any:
    """Give what knows of conflicts, which SQLAlchemy has for each database apart."""
    return sqlite if connection.dialect.name == "sqlite" else postgresql


def _answer_row(at: Link, entry: Entry) -> dict[str, Any]:
    record = entry.record
    return {
        "chain": at.chain,
        "seq": at.seq,
        "tenant": record.tenant,
        "answer_id": record.answer_id,
        "outcome": record.outcome,
        "expert": lead(record),
        "begin_time_us": microseconds(record.begin_time),
        "line": at.line,
    }


def _row(at: Link, begin_time_us: int) -> dict[str, Any]:
    return {
        "chain": at.chain,
        "seq": at.seq,
        "tenant": "",
        "answer_id": "",
        "outcome": "",
        "expert": "",
        "begin_time_us": begin_time_us,
        "line": at.line,
    }


def _text_row(at: Link, entry: Entry, salt: bytes) -> dict[str, Any]:
    texts = entry.texts
    if texts is None:
        raise RuntimeError("no texts to keep")
    end = entry.record.begin_time + timedelta(days=texts.retain_days)
    return {
        "chain": at.chain,
        "seq": at.seq,
        "salt": salt,
        "question": texts.question.encode("utf-8", "surrogatepass"),
        "answer": texts.answer.encode("utf-8", "surrogatepass"),
        "delete_time_us": microseconds(end),
    }
