"""Revisions are kept whole, move along the table of states alone, and are listed in pages."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tame_router.config import StoreSettings
from tame_router.errors import AlreadyExistsError, InvalidRequestError, RevisionNotFoundError
from tame_router.errors_registry import InvalidTransitionError, RevisionRefusedError
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tame_router.registry.record import ROUTER, SignatureState
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.state import Event, State
from tame_router.store import Database
from tests.registry.known import (
    NOON,
    PARTNER,
    Clock,
    add,
    approve,
    job,
    publish,
    revision,
)


@pytest.fixture
def clock() -> Clock:
    """Give the store's clock."""
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> RecordStore:
    """Give an empty store; the test runs once on each kind of database."""
    return RecordStore(database, clock)


FOUND = (
    Finding(reason=Reason.CARD_MISSING, message="沒有說明", advice="寫一份", fatal=False),
    Finding(reason=Reason.PATH_UNSAFE, message="a\0b\ud800", advice="rename", path="../a"),
)


def test_what_is_kept_comes_back_whole(
    store: RecordStore, store_settings: StoreSettings, tmp_path: Path
) -> None:
    """Every field of a revision, also for the next process."""
    new = revision()
    assert store.add(new, PARTNER, "uploaded") == new == store.get(new.name)
    store.happen(
        new.name,
        Event.VALIDATED,
        ROUTER,
        "in order",
        findings=FOUND,
        signature=SignatureState.VERIFIED,
        signer="key:0123",
    )
    kept = store.happen(new.name, Event.PASSED, ROUTER, "as good", report='{"score": 1}')
    assert kept == dataclasses.replace(
        new,
        state=State.APPROVED,
        update_time=kept.update_time,
        findings=FOUND,
        signature=SignatureState.VERIFIED,
        signer="key:0123",
        report='{"score": 1}',
    )
    assert kept.update_time > NOON
    other = Database(store_settings, tmp_path)
    assert RecordStore(other).get(new.name) == kept
    assert RecordStore(other).get(new.name, with_report=False) == dataclasses.replace(
        kept, report=""
    )
    other.close()


def test_the_same_bytes_are_the_same_revision(store: RecordStore) -> None:
    """Brought again, the known one is given, whoever brings it, and nothing is added."""
    name = approve(store)
    again = store.add(revision(tenant="other"), ROUTER, "uploaded", job=job("j"))
    assert again == store.get(name)
    assert (again.tenant, again.state) == ("partner", State.APPROVED)
    assert store.sequence() == 3
    assert not store.open_jobs()


def test_a_name_is_given_to_one_manifest(store: RecordStore) -> None:
    """Where 64 bits of two digests agree, the second is refused."""
    add(store)
    other = dataclasses.replace(revision(), digest="f" * 64)
    with pytest.raises(AlreadyExistsError, match="is that of another revision"):
        store.add(other, PARTNER, "uploaded")


def test_each_step_is_remembered_with_who_and_why(store: RecordStore) -> None:
    """Numbers grow over all revisions, and tell what came after a number."""
    first, second = add(store), add(store, "b", "code")
    store.happen(first, Event.FAILED, ROUTER, "a NUL \0 and a lone \ud800")
    changes = store.changes(0)
    assert [change.sequence for change in changes] == [1, 2, 3]
    assert store.sequence() == 3
    assert (changes[0].before, changes[0].state, changes[0].actor) == (
        None,
        State.VALIDATING,
        PARTNER,
    )
    assert (changes[2].before, changes[2].state) == (State.VALIDATING, State.REJECTED)
    assert changes[2].because == "a NUL \N{REPLACEMENT CHARACTER} and a lone ?"
    assert changes[0].create_time < changes[2].create_time
    assert store.changes(2) == changes[2:]
    assert store.changes(0, limit=2) == changes[:2]
    assert store.changes(0, {"code"}) == changes[1:2]
    assert store.changes(0, set()) == []
    assert store.changes(0, revision=second) == changes[1:2]


def test_what_cannot_happen_leaves_all_as_it_was(store: RecordStore) -> None:
    """The table of states decides, and what belongs to another method is misuse."""
    name = add(store)
    before = store.get(name)
    with pytest.raises(InvalidTransitionError):
        store.happen(name, Event.PASSED, PARTNER, "", report="new", job=job("j"))
    for event in (Event.PREPARED, Event.REPLACED, Event.RETIRE):
        with pytest.raises(RuntimeError):
            store.happen(name, event, PARTNER, "")
    with pytest.raises(RuntimeError, match="begins as validating"):
        store.add(dataclasses.replace(revision("b"), state=State.APPROVED), PARTNER, "")
    assert store.get(name) == before
    assert store.sequence() == 1
    assert not store.open_jobs()


def test_a_job_is_added_with_the_step_that_needs_it(store: RecordStore) -> None:
    """No crash can come between them."""
    new = revision()
    store.add(new, PARTNER, "uploaded", job=job("first", new.name))
    store.happen(new.name, Event.VALIDATED, ROUTER, "", job=job("second", new.name))
    assert [found.job_id for found in store.open_jobs(new.name)] == ["first", "second"]


def test_of_two_that_race_one_wins(store: RecordStore) -> None:
    """The other is told that this cannot happen any more."""
    name = approve(store)

    def take(_: int) -> bool:
        try:
            store.happen(name, Event.PUBLISH, PARTNER, "")
        except InvalidTransitionError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(take, range(8))) == 1
    assert store.sequence() == 4


def test_changes_from_many_threads_are_numbered_without_gaps(store: RecordStore) -> None:
    """So nobody who watches can miss one that becomes visible late."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: approve(store, str(number)), range(24)))
    assert [change.sequence for change in store.changes(0)] == list(range(1, 73))


def test_a_withdrawn_revision_never_answers_again(store: RecordStore) -> None:
    """Withdrawn once or more often, from where the table allows it."""
    name = approve(store)
    gone = store.withdraw(name, PARTNER, "leaks")
    assert (gone.state, gone.withdrawn) == (State.RETIRED, True)
    assert store.withdraw(name, PARTNER, "again") == gone == store.get(name)
    assert store.sequence() == 4
    with pytest.raises(RevisionRefusedError, match="was withdrawn"):
        store.happen(name, Event.PUBLISH, PARTNER, "")
    live = approve(store, "b")
    publish(store, live)
    with pytest.raises(InvalidTransitionError):
        store.withdraw(live, PARTNER, "")


def test_what_is_not_there_is_told(store: RecordStore) -> None:
    """The error names what was looked for, and how to find what there is."""
    assert store.get("legal--0") is None
    assert store.get("\0") is None
    calls: list[Callable[[], object]] = [
        lambda: store.happen("legal--0", Event.PASSED, PARTNER, ""),
        lambda: store.withdraw("legal--0", PARTNER, ""),
        lambda: store.mark_removed("legal--0"),
        lambda: store.publish("legal--0", None, "", None, PARTNER, ""),
    ]
    for call in calls:
        with pytest.raises(RevisionNotFoundError, match=r"'legal--0'; `tame adapter list`"):
            call()


def test_pages_hold_each_revision_once_the_newest_first(store: RecordStore) -> None:
    """Also while others are added, and with any filter; reports are not read."""
    names = [add(store, str(n), "legal" if n % 2 else "code") for n in range(7)]
    store.happen(names[1], Event.FAILED, ROUTER, "", report="long")
    found, token = store.list(limit=3)
    add(store, "later")
    assert [record.name for record in found] == names[:3:-1]
    found, token = store.list(limit=3, after=token)
    assert [record.name for record in found] == names[3:0:-1]
    assert found[-1].report == ""
    found, token = store.list(limit=1, after=token)
    assert ([record.name for record in found], token) == (names[:1], "")
    assert [record.name for record in store.list({"code"})[0]] == names[::-2]
    rejected, token = store.list({"legal", "code"}, {State.REJECTED}, 1)
    assert ([record.name for record in rejected], token) == ([names[1]], "")
    assert store.list(states={State.ACTIVE, State.RETIRED}) == ([], "")
    assert store.list(set()) == ([], "")
    for token in ("x", "-1", "1" * 40, "١"):
        with pytest.raises(InvalidRequestError, match="is no token"):
            store.list(after=token)


def test_a_tenants_bytes_are_those_that_were_not_removed(store: RecordStore) -> None:
    """Of other tenants' revisions none count."""
    assert store.tenant_bytes("partner") == 0
    names = [add(store, seed) for seed in "abc"]
    store.add(revision("d", tenant="other"), PARTNER, "")
    assert store.tenant_bytes("partner") == 3 * 1_000_500
    store.happen(names[0], Event.FAILED, ROUTER, "")
    assert store.mark_removed(names[0])
    assert store.tenant_bytes("partner") == 2 * 1_000_500
