"""What operators read is what is chained: columns, texts and use."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from tame_router.audit.archive import BATCH, Archive
from tame_router.audit.entry import Entry
from tame_router.audit.store import AuditStore
from tame_router.audit.tables import RECORDS, TEXTS, USAGE
from tame_router.store import Database
from tests.audit.recorded import NOON, SALT, answered, fill, prune, said, verified


def _filled(database: Database) -> None:
    """Keep answers and a refusal, one of the former with its texts."""
    store = AuditStore(database)
    head = fill(database, 3)
    refused = answered(4, outcome="QUOTA_EXCEEDED", experts=(), steps=(), answer_digest="")
    both = [Entry(record=answered(5), texts=said()), Entry(record=refused)]
    store.append(head, both, [SALT] * 2)


def _told(database: Database) -> list[tuple[str, int, str]]:
    assert verified(database) == []
    return [(fault.chain, fault.seq, fault.message) for fault in Archive(database).compare()]


def test_what_was_put_there_fits(database: Database) -> None:
    """Across pieces and chains, with texts, pruned or not, and with nothing in it."""
    assert _told(database) == []
    _filled(database)
    fill(database, BATCH + 5, "c2", tenant="factory", begin_time=NOON + timedelta(days=2))
    assert _told(database) == []
    prune(database, NOON + timedelta(seconds=3))
    assert _told(database) == []
    prune(database, NOON + timedelta(days=1), NOON + timedelta(days=9))
    assert _told(database) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("tenant", "factory"),
        ("answer_id", "x"),
        ("outcome", "cancelled"),
        ("expert", "law"),
        ("begin_time_us", 1),
    ],
)
def test_a_changed_column_is_found(database: Database, column: str, value: Any) -> None:
    """Whatever a record is searched by must be what is chained in it."""
    _filled(database)
    with database.transaction() as connection:
        connection.execute(update(RECORDS).where(RECORDS.c.seq == 3).values({column: value}))
    message = f"column {column} is not what is chained in record 3"
    assert _told(database) == [("c1", 3, message)]


@pytest.mark.parametrize(
    ("column", "what"), [("question", "question"), ("answer", "answer"), ("salt", "question")]
)
def test_a_changed_text_is_found(database: Database, column: str, what: str) -> None:
    """Texts are proved by the digests that are chained, and their salt with them."""
    _filled(database)
    with database.transaction() as connection:
        connection.execute(update(TEXTS).values({column: b"forged"}))
    message = f"the {what} kept of record 5 is not what was said"
    assert _told(database)[0] == ("c1", 5, message)


def test_texts_of_no_record_are_found(database: Database) -> None:
    """They cannot be proved."""
    _filled(database)
    with database.transaction() as connection:
        row = {"chain": "c9", "seq": 7, "salt": SALT, "question": b"", "answer": b""}
        connection.execute(insert(TEXTS).values(row | {"delete_time_us": 0}))
    assert _told(database) == [("c9", 7, "texts are kept of record 7, which is not there")]


@pytest.mark.parametrize("change", [{"requests": 0}, {"completion_tokens": 19}, {"failures": 1}])
def test_changed_use_is_found(database: Database, change: dict[str, int]) -> None:
    """Less than the records prove, and more where none can have been pruned."""
    _filled(database)
    with database.transaction() as connection:
        mine = USAGE.c.expert == "baking"
        connection.execute(update(USAGE).where(mine).values(change))
    [(name, number)] = change.items()
    [(_, _, message)] = _told(database)
    begin = f"use of baking by hospital on 2026-11-24: {name} {number}, proved "
    assert message.startswith(begin)


def test_use_that_is_not_there_is_found(database: Database) -> None:
    """A row taken out is as good as one set to nothing."""
    _filled(database)
    with database.transaction() as connection:
        connection.execute(delete(USAGE).where(USAGE.c.expert == ""))
    assert [message for _, _, message in _told(database)] == [
        "use of - by hospital on 2026-11-24: requests 0, proved 1",
        "use of - by hospital on 2026-11-24: failures 0, proved 1",
    ]


def test_use_of_pruned_days_may_be_more_than_is_left_but_not_less(database: Database) -> None:
    """Use outlives its records."""
    _filled(database)
    prune(database, NOON + timedelta(seconds=3))
    with database.transaction() as connection:
        mine = USAGE.c.expert == "baking"
        connection.execute(update(USAGE).where(mine).values(requests=9))
        assert _told(database) == []
        connection.execute(update(USAGE).where(mine).values(requests=1))
    assert [message for _, _, message in _told(database)] == [
        "use of baking by hospital on 2026-11-24: requests 1, proved 2"
    ]


def test_a_line_that_is_no_record_is_left_to_the_proof_of_the_chain(database: Database) -> None:
    """Nothing beside it can be compared."""
    fill(database, 1)
    with database.transaction() as connection:
        connection.execute(update(RECORDS).where(RECORDS.c.seq == 1).values(line="{"))
    assert Archive(database).compare() == []
    assert verified(database)
