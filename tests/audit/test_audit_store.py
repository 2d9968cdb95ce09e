"""Audit in a database: chained, added up, found again, dropped when too old."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from tame_router.audit.archive import BATCH, Archive
from tame_router.audit.entry import Entry, salted
from tame_router.audit.lookup import Wanted
from tame_router.audit.store import AuditStore
from tame_router.audit.tables import CHAINS, RECORDS, TEXTS
from tame_router.audit.usage import Usage
from tame_router.errors import StoreUnavailableError
from tame_router.store import Database
from tests.audit.recorded import NOON, SALT, answered, entries, faults, fill, prune, said, verified


def test_what_was_put_there_verifies(database: Database) -> None:
    """Several chains, one of them closed, and more records than are read at once."""
    fill(database, BATCH + 1, "c1")
    head = fill(database, 3, "c2")
    AuditStore(database).end(head, NOON)
    fill(database, 0, "c3")
    lines = list(Archive(database).lines())
    assert faults(lines) == []
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds[-12:] == [
        "answer", "head", "chain", "open", "answer", "answer", "answer", "close", "head",
        "chain", "open", "head",
    ]  # fmt: skip


def test_what_was_put_there_already_is_not_put_there_twice(database: Database) -> None:
    """A commit whose answer was lost is done again without harm."""
    store = AuditStore(database)
    start = fill(database, 0)
    assert store.begin("c1", NOON, {"version": "1"}) == start
    batch = (start, entries(2), [SALT] * 2)
    moved = store.append(*batch)
    assert store.append(*batch) == moved
    store.end(moved, NOON)
    store.end(moved, NOON)
    assert verified(database) == []
    assert store.usage("", NOON.date(), NOON.date())[0].requests == 2


def test_a_head_somebody_else_moved_is_not_written_behind(database: Database) -> None:
    """Two writers of one chain, or a chain touched while it grows, is a failure, not a fork."""
    store = AuditStore(database)
    start = fill(database, 0)
    store.append(start, entries(1), [SALT])
    with pytest.raises(StoreUnavailableError, match="audit verify"):
        store.append(start, entries(2), [SALT] * 2)
    assert verified(database) == []


def test_a_record_nobody_chained_is_not_overwritten(database: Database) -> None:
    """A row in the place of the next record stops the chain, with advice."""
    head = fill(database, 1)
    row = {"chain": "c1", "seq": 3, "tenant": "", "answer_id": "", "outcome": "", "expert": ""}
    with database.transaction() as connection:
        connection.execute(RECORDS.insert().values(row | {"begin_time_us": 0, "line": "{}"}))
    with pytest.raises(StoreUnavailableError, match="did not put"):
        AuditStore(database).append(head, entries(1), [SALT])


def test_changes_in_the_database_are_found(database: Database) -> None:
    """A changed, a missing and an inserted row, and a cut tail."""
    fill(database, 9)
    place = RECORDS.c.seq
    with database.transaction() as connection:
        line = connection.execute(select(RECORDS.c.line).where(place == 4)).scalar_one()
        forged = line.replace('"ok"', '"cancelled"')
        connection.execute(update(RECORDS).where(place == 4).values(line=forged))
        connection.execute(delete(RECORDS).where(place.in_((6, 10))))
    found = {fault.seq: fault.message for fault in verified(database)}
    assert set(found) == {4, 6, 10}
    assert "changed" in found[4]
    assert "missing" in found[6]
    assert "at the end" in found[10]


def test_a_chain_taken_out_is_found_by_its_head(database: Database) -> None:
    """What leaves no trace in the database is missed by whoever kept its head."""
    head = fill(database, 2)
    with database.transaction() as connection:
        connection.execute(delete(RECORDS))
        connection.execute(delete(CHAINS))
    assert verified(database) == []
    assert [fault.message for fault in verified(database, [head])] == ["the whole chain is missing"]


def test_use_adds_up_and_outlives_its_records(database: Database) -> None:
    """Requests count for the lead, tokens for whoever spent them, failures by their reason."""
    store = AuditStore(database)
    head = fill(database, 2)
    refused = answered(3, outcome="QUOTA_EXCEEDED", experts=(), steps=())
    other = answered(4, tenant="factory", outcome="cancelled")
    late = answered(5, begin_time=NOON + timedelta(days=1))
    store.append(head, [Entry(record=r) for r in (refused, other, late)], [SALT] * 3)
    assert prune(database, NOON + timedelta(days=9)).records == 6
    day = NOON.date()
    spent = {"prompt_tokens": 20, "completion_tokens": 10}
    assert store.usage("hospital", day, day) == [
        Usage(tenant="hospital", day=day, expert="", requests=1, failures=1),
        Usage(tenant="hospital", day=day, expert="baking", requests=2, **spent),
    ]
    assert sum(u.requests for u in store.usage("", day, day + timedelta(days=1))) == 5
    assert sum(u.failures for u in store.usage("", day, day + timedelta(days=1))) == 1


def test_texts_are_forgotten_with_their_salt(database: Database) -> None:
    """Until then the chained digests prove them; afterwards nothing tells what they were."""
    store = AuditStore(database)
    head = fill(database, 0)
    store.append(head, [Entry(record=answered(1), texts=said(days=1))], [SALT])
    archive = Archive(database)
    [kept] = archive.find(Wanted())
    assert (kept.question, kept.answer) == ('{"messages":[]}', "麵團要\0靜置")
    assert json.loads(kept.line)["answer_digest"] == salted(answered().answer_digest, SALT)
    assert prune(database, NOON, NOON + timedelta(hours=23)).texts == 0
    assert prune(database, NOON, NOON + timedelta(days=2)).texts == 1
    with database.transaction() as connection:
        assert connection.execute(select(func.count()).select_from(TEXTS)).scalar_one() == 0
    assert [found.question for found in archive.find(Wanted())] == [None]
    assert verified(database) == []


def test_without_texts_no_digest_of_words_is_kept(database: Database) -> None:
    """A short question could be guessed from a digest without a salt."""
    fill(database, 1)
    [kept] = Archive(database).find(Wanted())
    value = json.loads(kept.line)
    assert (value["request_digest"], value["answer_digest"]) == ("", "")


def test_records_are_found_by_tenant_time_and_answer(database: Database) -> None:
    """The oldest first, across chains and across the pieces they are read in."""
    fill(database, BATCH + 5, "c2")
    fill(database, 3, "c1", tenant="factory")
    archive = Archive(database)

    def ids(**wanted: Any) -> list[str]:
        return [json.loads(k.line)["answer_id"] for k in archive.find(Wanted(**wanted))]

    assert len(ids()) == BATCH + 8
    assert ids(tenant="factory") == ["answer-000001", "answer-000002", "answer-000003"]
    assert len(ids(since=NOON + timedelta(seconds=BATCH))) == 6
    assert len(ids(until=NOON + timedelta(seconds=3))) == 4
    assert ids(answer_id="answer-000003", tenant="hospital") == ["answer-000003"]
    assert ids(tenant="nobody") == []


def test_a_chain_that_grows_while_it_is_read_verifies(database: Database) -> None:
    """An export of a router at work ends at the head it began with."""
    head = fill(database, 2)
    lines = Archive(database).lines()
    first = next(lines)
    AuditStore(database).append(head, entries(2), [SALT] * 2)
    assert faults([first, *lines]) == []
