"""A call that is sent again is answered with what the first came to."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tame_router.registry.records.record_store import RecordStore
from tame_router.store import Database
from tests.registry.known import NOON, Clock


@pytest.fixture
def clock() -> Clock:
    """Give the store's clock."""
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> RecordStore:
    """Give an empty store; the test runs once on each kind of database."""
    return RecordStore(database, clock)


def test_an_outcome_is_kept_by_tenant_method_and_id(store: RecordStore) -> None:
    """Another tenant's, or another method's, is another call."""
    assert store.recall("a", "publish", "call-0001") is None
    assert store.remember("a", "publish", "call-0001", '{"label": 1}') == '{"label": 1}'
    assert store.recall("a", "publish", "call-0001") == '{"label": 1}'
    assert store.recall("b", "publish", "call-0001") is None
    assert store.recall("a", "evaluate", "call-0001") is None


def test_the_first_outcome_stands(store: RecordStore) -> None:
    """Of several calls at once all are told the same."""
    with ThreadPoolExecutor(8) as threads:
        told = set(
            threads.map(lambda n: store.remember("a", "publish", "call-0001", str(n)), range(8))
        )
    assert told == {store.recall("a", "publish", "call-0001")}


def test_old_outcomes_are_forgotten(store: RecordStore, clock: Clock) -> None:
    """Those before the moment, and no others."""
    store.remember("a", "publish", "old-call", "1")
    clock.wait(days=1)
    store.remember("a", "publish", "new-call", "2")
    assert store.forget(NOON + timedelta(hours=1)) == 1
    assert store.recall("a", "publish", "old-call") is None
    assert store.recall("a", "publish", "new-call") == "2"
