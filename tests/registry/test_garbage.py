"""Garbage is what no label, no job and no history within the retention needs."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tame_router.errors_registry import RevisionRefusedError
from tame_router.registry.manifest import FileEntry, make_manifest
from tame_router.registry.record import RevisionRecord
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.state import Event
from tame_router.store import Database
from tests.registry.known import (
    FOLDER,
    NOON,
    PARTNER,
    Clock,
    add,
    approve,
    job,
    publish,
    revision,
    rollback,
)

RETENTION = timedelta(days=90)


@pytest.fixture
def clock() -> Clock:
    """Give the store's clock."""
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> RecordStore:
    """Give an empty store; the test runs once on each kind of database."""
    return RecordStore(database, clock)


def reject(store: RecordStore, seed: str = "a") -> str:
    """Add a revision that is refused, and give its name."""
    name = add(store, seed)
    store.happen(name, Event.FAILED, PARTNER, "")
    return name


def described(seed: str) -> RevisionRecord:
    """Give a revision of `packaging` that describes its expert."""
    plain = revision(seed, "packaging")
    entry = FileEntry(path="expert.yaml", size_bytes=1, sha256="0" * 64)
    manifest = make_manifest((*plain.manifest.files, entry))
    return replace(
        plain, manifest=manifest, digest=manifest.digest, name=manifest.name("packaging")
    )


def test_what_ended_long_ago_is_garbage(store: RecordStore, clock: Clock) -> None:
    """Refused, withdrawn or replaced; not what waits, may be published, or answers."""
    refused, withdrawn, replaced = reject(store), approve(store, "b"), approve(store, "c")
    store.withdraw(withdrawn, PARTNER, "")
    live, canary = approve(store, "d"), approve(store, "e")
    add(store, "f")
    approve(store, "g")
    publish(store, replaced)
    publish(store, live)
    publish(store, canary, 0.1)
    assert store.garbage(clock(), RETENTION) == []
    clock.wait(days=91)
    young = reject(store, "h")
    assert store.garbage(clock(), RETENTION) == sorted([refused, withdrawn, replaced])
    clock.wait(days=91)
    assert young in store.garbage(clock(), RETENTION)


def test_history_within_the_retention_keeps_what_it_names(store: RecordStore, clock: Clock) -> None:
    """What was live in that time can be gone back to, as can a canary's revision."""
    first, second = approve(store), approve(store, "b")
    publish(store, first)
    clock.wait(days=60)
    publish(store, second)
    clock.wait(days=60)
    rollback(store, FOLDER)
    clock.wait(days=60)
    assert store.garbage(clock(), RETENTION) == [first]
    clock.wait(days=60)
    assert store.garbage(clock(), RETENTION) == sorted([first, second])


def test_an_open_job_keeps_its_revision(store: RecordStore) -> None:
    """Until it is over."""
    name = reject(store)
    store.add_job(job("a", name))
    far = NOON + timedelta(days=1000)
    assert store.garbage(far, RETENTION) == []
    assert store.mark_removed(name) is False
    store.finish("a")
    assert store.garbage(far, RETENTION) == [name]


def test_what_is_removed_is_removed_once(store: RecordStore) -> None:
    """Its record stays, and it cannot answer before its bytes are brought again."""
    name = approve(store)
    publish(store, name)
    rollback(store, FOLDER)
    far = NOON + timedelta(days=1000)
    assert store.garbage(far, RETENTION) == [name]
    assert store.mark_removed(name)
    assert store.mark_removed(name) is False
    assert store.garbage(far, RETENTION) == []
    assert store.previous("legal") is None
    with pytest.raises(RevisionRefusedError, match="bytes were removed; upload it instead"):
        rollback(store, name)
    with pytest.raises(RevisionRefusedError):
        store.happen(name, Event.PUBLISH, PARTNER, "")
    assert store.add(revision(), PARTNER, "uploaded").removed is False
    assert rollback(store, name).live == name


def test_what_came_into_use_since_is_not_removed(store: RecordStore) -> None:
    """It was named garbage, and somebody rolled back to it before its bytes went."""
    first = approve(store)
    publish(store, first)
    publish(store, approve(store, "b"))
    assert store.garbage(NOON + timedelta(days=1000), RETENTION) == [first]
    rollback(store, first)
    assert store.mark_removed(first) is False
    record = store.get(first)
    assert record is not None
    assert record.removed is False


def test_what_made_an_expert_is_kept(store: RecordStore, clock: Clock) -> None:
    """A router that comes later makes the expert of it; a later one that describes it is not."""
    names = []
    for seed in ("a", "b", "c"):
        record = described(seed)
        names.append(store.add(record, PARTNER, "uploaded").name)
        for event in (Event.VALIDATED, Event.PASSED):
            store.happen(names[-1], event, PARTNER, "in order")
        publish(store, names[-1])
    first, second, _ = names
    founder = store.founder("packaging")
    assert founder is not None
    assert founder.name == first
    assert store.founder("legal") is None
    clock.wait(days=200)
    assert store.garbage(clock(), RETENTION) == [second]
    assert not store.mark_removed(first)
