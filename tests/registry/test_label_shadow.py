"""A shadow on a label: tried, found good, tried again, ended."""

from dataclasses import replace

import pytest

from tame_router.errors_registry import LabelMovedError
from tame_router.registry.record import Action, Mode
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.state import Event, State
from tame_router.store import Database
from tests.registry.known import FOLDER, PARTNER, Clock, approve, publish, rollback


@pytest.fixture
def store(database: Database) -> RecordStore:
    """Give an empty store; the test runs once on each kind of database."""
    return RecordStore(database, Clock())


def state(store: RecordStore, name: str) -> State:
    """Give a revision's state."""
    record = store.get(name)
    assert record is not None
    return record.state


def test_a_shadow_is_a_canary_of_another_mode(store: RecordStore) -> None:
    """It is active beside the live one; proven it stays, until it is published or ended."""
    live, shadow = approve(store), approve(store, "b")
    publish(store, live)
    store.happen(shadow, Event.PUBLISH, PARTNER, "")
    label = store.publish(shadow, 0.1, "", None, PARTNER, "", shadow=True)
    assert (label.live, label.canary, label.mode) == (live, shadow, Mode.SHADOW)
    assert state(store, shadow) is State.ACTIVE
    before = store.sequence()
    proven = store.prove("legal", shadow, "it is good")
    assert proven == replace(label, mode=Mode.PROVEN, generation=3, update_time=proven.update_time)
    (step,) = store.changes(before)
    assert (step.before, step.state, step.because) == (State.ACTIVE, State.ACTIVE, "it is good")
    with pytest.raises(LabelMovedError, match="no shadow"):
        store.prove("legal", shadow, "")
    again = store.publish(shadow, 0.1, "", None, PARTNER, "", shadow=True)
    assert again.mode is Mode.SHADOW
    assert store.publish(shadow, 0.1, "", None, PARTNER, "").mode is Mode.ANSWERING
    with pytest.raises(LabelMovedError, match="no shadow"):
        store.prove("legal", shadow, "")
    label = rollback(store, live)
    assert (label.canary, label.mode, state(store, shadow)) == ("", Mode.ANSWERING, State.RETIRED)
    actions = [change.action for change in store.history("legal")[0]]
    tried = [Action.CANARY, Action.SHADOW, Action.PROVE, Action.SHADOW]
    assert actions == [Action.ROLLBACK, *tried, Action.PUBLISH]
    assert store.previous("legal") == FOLDER


def test_labels_of_an_earlier_version_answer(database: Database) -> None:
    """What was there before labels had a mode is read as it was meant."""
    store = RecordStore(database, Clock())
    name = approve(store)
    publish(store, name, 0.1)
    with database.transaction() as connection:
        connection.exec_driver_sql("DROP INDEX adapter_label_changes_number")
        for table, column in (
            ("adapter_label_changes", "number"),
            ("adapter_label_changes", "previous"),
            ("adapter_counter", "history"),
            ("adapter_labels", "mode"),
            ("adapter_label_changes", "mode"),
        ):
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.exec_driver_sql("UPDATE adapter_schema SET version_num = '0001'")
    store = RecordStore(database, Clock())
    assert (store.label("legal").canary, store.label("legal").mode) == (name, Mode.ANSWERING)
    assert store.history("legal")[0][0].label.mode is Mode.ANSWERING
