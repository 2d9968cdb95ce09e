"""Where a label does not move, all is what it was; and a canary says why it stays one."""

from datetime import timedelta

import pytest

from tame_router.registry.advice import found
from tame_router.registry.reason import Reason
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.state import Event, State
from tame_router.store import Database
from tests.registry.known import NOON, PARTNER, Clock, approve, publish


@pytest.fixture
def store(database: Database) -> RecordStore:
    """Give an empty store; the test runs once on each kind of database."""
    return RecordStore(database, Clock())


def test_what_has_answered_stays_retired_when_publishing_it_fails(store: RecordStore) -> None:
    """Nothing has changed: it is what it was, and goes with the garbage as it would have."""
    name, other = approve(store), approve(store, "b")
    publish(store, name)
    publish(store, other)
    for _ in range(2):
        store.happen(name, Event.PUBLISH, PARTNER, "wanted")
        store.happen(name, Event.ABORTED, PARTNER, "a replica refused it")
        assert store.need(name).state is State.RETIRED
    store.happen(name, Event.PUBLISH, PARTNER, "wanted")
    assert store.take_back("nobody publishes it") == [name]
    assert store.need(name).state is State.RETIRED
    assert store.garbage(NOON + timedelta(days=1000), timedelta(days=90)) == [name]


def test_why_a_canary_stays_is_noted_until_its_label_moves(store: RecordStore) -> None:
    """With the revision and in its history, once; of what is no canary nothing is."""
    live, name = approve(store), approve(store, "b")
    why = found(Reason.NOT_PUBLISHED, "a replica is away", fatal=False)
    other = found(Reason.NOT_ROLLED_BACK, "its bytes have changed", fatal=False)
    assert not store.note_stay(name, why)
    publish(store, live)
    publish(store, name, 0.1)
    assert [store.note_stay(name, one) for one in (why, why, other)] == [True, False, True]
    record = store.need(name)
    assert record.findings == (other,)
    changes = store.changes(0, revision=name)[-2:]
    assert [(change.before, change.state) for change in changes] == [
        (State.ACTIVE, State.ACTIVE)
    ] * 2
    assert [change.because for change in changes] == [
        f"{one.message}; {one.advice}" for one in (why, other)
    ]
    publish(store, name)
    assert store.need(name).findings == ()
