"""Pruning: by the time that is chained, told in a chain of its own, found where forged."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update

from tame_router.audit.archive import Archive
from tame_router.audit.chain import Head, Seen
from tame_router.audit.entry import Entry
from tame_router.audit.pruning import PRUNES, Order, Prune, pruned, read_prune
from tame_router.audit.store import AuditStore, extend
from tame_router.audit.tables import CHAINS, RECORDS
from tame_router.audit.verification import Verification
from tame_router.store import Database
from tests.audit.recorded import NOON, SALT, answered, entries, fill, prune, seen, verified

DAY = timedelta(days=1)


def _messages(database: Database, *expected: Seen) -> list[str]:
    return [fault.message for fault in verified(database, expected, NOON - DAY)]


def _count(database: Database) -> int:
    with database.transaction() as connection:
        return connection.execute(select(func.count()).select_from(RECORDS)).scalar_one()


def test_pruning_leaves_chains_that_verify(database: Database) -> None:
    """The rest begins where pruning ended, and a head seen earlier still fits."""
    head = fill(database, 9)
    fill(database, 2, "c2")
    assert prune(database, NOON + timedelta(seconds=5)).records == 5 + 2 + 1
    assert verified(database, [head]) == []
    assert prune(database, NOON + DAY).records == 5
    assert prune(database, NOON + DAY).records == 0
    assert verified(database, [head]) == []
    AuditStore(database).append(head, entries(1), [SALT])
    assert verified(database) == []


def test_each_prune_is_told(database: Database) -> None:
    """What, how much, when, by whom, and how old it was at the least."""
    fill(database, 9)
    prune(database, NOON + timedelta(seconds=5), NOON + DAY)
    verification = Verification()
    for line in Archive(database).lines():
        verification.take(line)
    assert verification.finish() == []
    [told] = verification.prunes
    assert (told.end.chain, told.end.seq, told.records) == ("c1", 5, 5)
    assert (told.time, told.before) == (NOON + DAY, NOON + timedelta(seconds=5))
    assert (told.by, told.sound) == ("command/0", True)


def test_records_that_are_gone_without_a_prune_are_missed(database: Database) -> None:
    """Whoever says that a chain was pruned, without the prune, is found with and without heads."""
    fill(database, 9)
    heads = seen(database)
    with database.transaction() as connection:
        change = {"pruned_seq": CHAINS.c.seq, "pruned_digest": CHAINS.c.digest}
        connection.execute(update(CHAINS).values(change))
        connection.execute(delete(RECORDS))
    assert any("no prune says" in message for message in _messages(database))
    assert any("too young" in message for message in _messages(database, *heads))


def test_a_column_does_not_decide_what_is_old(database: Database) -> None:
    """Whoever changes the column makes nothing go: the time that is chained counts."""
    fill(database, 9)
    with database.transaction() as connection:
        connection.execute(update(RECORDS).values(begin_time_us=1))
    assert prune(database, NOON - DAY).records == 0
    assert _count(database) == 10


@pytest.mark.parametrize("place", [1, 4, 10])
def test_what_was_touched_is_not_pruned(database: Database, place: int) -> None:
    """A line that says it is old is not believed where it does not fit the chain."""
    fill(database, 9)
    with database.transaction() as connection:
        here = RECORDS.c.seq == place
        line = connection.execute(select(RECORDS.c.line).where(here)).scalar_one()
        forged = line.replace("2026-11-24", "2020-11-24")
        connection.execute(update(RECORDS).where(here).values(line=forged))
    assert prune(database, NOON + DAY).records == place - 1
    assert any(f"record {place}" in message for message in _messages(database))


def test_a_line_that_is_none_ends_a_prune(database: Database) -> None:
    """What cannot be read is not dropped."""
    fill(database, 9)
    with database.transaction() as connection:
        connection.execute(update(RECORDS).where(RECORDS.c.seq == 3).values(line="{"))
    assert prune(database, NOON + DAY).records < 3


def test_a_forged_prune_is_found_by_what_was_seen(database: Database) -> None:
    """It may say that all was old: places kept elsewhere say of what day it was."""
    store = AuditStore(database)
    head = fill(database, 3)
    later = [Entry(record=answered(n, begin_time=NOON + n * DAY)) for n in (1, 2)]
    head = store.append(head, later, [SALT] * 2)
    places = seen(database)
    assert [(at.head.seq, at.latest) for at in places] == [
        (4, NOON + timedelta(seconds=3)),
        (5, NOON + DAY),
        (6, NOON + 2 * DAY),
    ]
    assert prune(database, NOON + timedelta(hours=1), NOON + 2 * DAY).records == 4
    # Pruned by the policy: nothing is missed by whoever goes by the same policy.
    for keeping, missed in ((NOON + timedelta(hours=1), []), (NOON, [4])):
        faults = verified(database, places, keeping)
        assert [fault.seq for fault in faults] == missed
    # All of it, by a prune that says it did so in a year.
    assert prune(database, NOON + 3 * DAY, NOON + 365 * DAY).records == 2
    faults = verified(database, places, NOON + timedelta(hours=1))
    assert [fault.seq for fault in faults] == [5, 6]


def test_the_end_of_a_prune_is_what_was_seen(database: Database) -> None:
    """A chain written anew and then pruned does not end at the place that was seen."""
    fill(database, 3)
    other = Seen(head=Head(chain="c1", seq=4, digest="0" * 64))
    prune(database, NOON + DAY)
    assert any("not the record that was seen" in m for m in _messages(database, other))


def test_a_prune_that_contradicts_itself_is_a_fault(database: Database) -> None:
    """Nothing younger than the retention that it names may have been dropped."""
    fill(database, 3)
    prune(database, NOON + DAY, NOON + 3 * DAY)
    assert _messages(database) == []
    with database.transaction() as connection:
        end = connection.execute(select(CHAINS).where(CHAINS.c.chain == "c1")).one()
        told = pruned(
            Order(now=NOON, retention=DAY, by="x"),
            Head(chain="c1", seq=end.seq, digest=end.digest),
            4,
        )
        extend(connection, PRUNES, [{**told, "retention_s": 2 * 86400}], NOON)
    assert any("before 2 days were over" in message for message in _messages(database))


def test_prunes_are_not_pruned(database: Database) -> None:
    """They are the proof of all others, however old they are; the first cannot be taken out."""
    fill(database, 3)
    prune(database, NOON + DAY)
    fill(database, 3, "c2")
    prune(database, NOON + 2 * DAY)
    assert prune(database, NOON + 900 * DAY).records == 0
    with database.transaction() as connection:
        first = (RECORDS.c.chain == PRUNES) & (RECORDS.c.seq == 1)
        line = connection.execute(select(RECORDS.c.line).where(first)).scalar_one()
        second = select(RECORDS.c.line).where(RECORDS.c.chain == PRUNES, RECORDS.c.seq == 2)
        previous = json.loads(connection.execute(second).scalar_one())["previous"]
        connection.execute(delete(RECORDS).where(first))
        mine = update(CHAINS).where(CHAINS.c.chain == PRUNES)
        connection.execute(mine.values(pruned_seq=1, pruned_digest=previous))
    assert any("never pruned" in message for message in _messages(database))
    assert isinstance(read_prune(json.loads(line)), Prune)
