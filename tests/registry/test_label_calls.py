"""A call that moves a label does so once, however often it is sent."""

import dataclasses

import pytest

from tame_router.errors_registry import InvalidTransitionError
from tame_router.registry.record import Call
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.state import Event
from tame_router.store import Database
from tests.registry.known import FOLDER, PARTNER, Clock, approve


@pytest.fixture
def store(database: Database) -> RecordStore:
    """Give an empty store; the test runs once on each kind of database."""
    return RecordStore(database, Clock())


def test_a_call_that_is_sent_again_moves_nothing(store: RecordStore) -> None:
    """It gives the label as it left it, also when that has moved on; no crash can come between."""
    first, second = approve(store), approve(store, "b")
    for name in (first, second):
        store.happen(name, Event.PUBLISH, PARTNER, "")
    one = Call(tenant="partner", method="publish", request_id="publish-1")
    label = store.publish(first, None, FOLDER, None, PARTNER, "", call=one)
    two = dataclasses.replace(one, request_id="publish-2")
    store.publish(second, None, FOLDER, None, PARTNER, "", call=two)
    assert store.publish(first, None, FOLDER, 0, PARTNER, "", call=one) == label
    back = dataclasses.replace(one, method="rollback")
    restored = store.rollback("legal", first, FOLDER, None, PARTNER, "", call=back)
    assert store.rollback("legal", FOLDER, FOLDER, None, PARTNER, "", call=back) == restored
    assert store.label("legal") == restored
    assert (
        store.recall("partner", "rollback", "publish-1") == '{"expert": "legal", "generation": 3}'
    )


def test_a_refused_call_can_be_sent_again(store: RecordStore) -> None:
    """Nothing of it is remembered."""
    name = approve(store)
    call = Call(tenant="partner", method="publish", request_id="publish-1")
    with pytest.raises(InvalidTransitionError):
        store.publish(name, None, FOLDER, None, PARTNER, "", call=call)
    assert store.recall("partner", "publish", "publish-1") is None
    store.happen(name, Event.PUBLISH, PARTNER, "")
    assert store.publish(name, None, FOLDER, None, PARTNER, "", call=call).live == name
