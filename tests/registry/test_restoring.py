"""What may be gone back to while it is judged again."""

import pytest

from tame_router.errors_registry import RevisionRefusedError
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.state import Event, State
from tame_router.store import Database
from tests.registry.known import PARTNER, add, approve, rollback


@pytest.fixture
def store(database: Database) -> RecordStore:
    """Give an empty store; the test runs once on each kind of database."""
    return RecordStore(database)


def state(store: RecordStore, name: str) -> State:
    """Tell where a revision stands."""
    record = store.get(name)
    assert record is not None
    return record.state


@pytest.mark.parametrize("validated", [False, True])
def test_what_is_judged_again_is_gone_back_to(store: RecordStore, validated: bool) -> None:
    """By name and by itself."""
    twin, new = add(store), approve(store, "b")
    store.happen(new, Event.PUBLISH, PARTNER, "")
    store.publish(new, None, twin, None, PARTNER, "")  # it came with the folder, and is uploaded
    if validated:
        store.happen(twin, Event.VALIDATED, PARTNER, "")
    assert store.previous("legal") == twin
    store.check_restorable("legal", twin)
    assert store.rollback("legal", twin, "", None, PARTNER, "").live == twin
    assert (state(store, twin), state(store, new)) == (State.ACTIVE, State.RETIRED)


@pytest.mark.parametrize("validated", [False, True])
def test_what_was_refused_is_not_gone_back_to(store: RecordStore, validated: bool) -> None:
    """Also while it is judged again: what the judgement before it said counts."""
    twin, new = add(store), approve(store, "b")
    store.happen(new, Event.PUBLISH, PARTNER, "")
    store.publish(new, None, twin, None, PARTNER, "")
    store.happen(twin, Event.FAILED, PARTNER, "")
    store.happen(twin, Event.EVALUATE, PARTNER, "")
    if validated:
        store.happen(twin, Event.VALIDATED, PARTNER, "")
    assert store.previous("legal") is None
    for refused in (store.check_restorable, lambda *_: rollback(store, twin)):
        with pytest.raises(RevisionRefusedError, match="was rejected"):
            refused("legal", twin)
