"""A job outlives the process that does it, and is done by one process at a time."""

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tame_router.registry.record import Job, JobKind
from tame_router.registry.records.record_store import RecordStore
from tame_router.store import Database
from tests.registry.known import NOON, Clock, job

LATER = NOON + timedelta(seconds=60)


@pytest.fixture
def store(database: Database) -> RecordStore:
    """Give an empty store; the test runs once on each kind of database."""
    return RecordStore(database, Clock())


def test_a_job_comes_back_whole(store: RecordStore) -> None:
    """Added again it is not changed, and one that nobody knows is none."""
    new = job("a", payload='{"share": 0.1}')
    assert store.job("a") is None
    assert store.add_job(new) == new == store.job("a")
    assert store.add_job(job("a", payload="{}")) == new
    assert store.open_jobs() == [new]


def test_the_oldest_job_is_taken_first(store: RecordStore) -> None:
    """It is the owner's until its lease ends, and the attempt is counted."""
    for job_id in "ba":
        store.add_job(job(job_id))
    taken = store.claim("one", NOON, 30)
    assert taken == store.job("b")
    assert taken == job("b", owner="one", lease_time=NOON + timedelta(seconds=30), attempts=1)
    second = store.claim("two", NOON, 30)
    assert second is not None
    assert second.job_id == "a"
    assert store.claim("three", NOON, 30) is None


def test_a_job_whose_lease_ran_out_is_begun_again(store: RecordStore) -> None:
    """The process that had it learns so when it comes back, and ends nothing."""
    store.add_job(job("a"))
    assert store.claim("dead", NOON, 60) is not None
    assert store.extend("a", "dead", NOON + timedelta(seconds=30), 30)
    assert store.claim("next", LATER - timedelta(microseconds=1), 60) is None
    again = store.claim("next", LATER, 60)
    assert again is not None
    assert (again.owner, again.attempts) == ("next", 2)
    assert store.extend("a", "dead", LATER, 30) is False
    assert store.finish("a", owner="dead") is False
    assert store.release("a", "dead") is False
    assert store.job("a") == again


def test_a_job_ends_once(store: RecordStore) -> None:
    """With its error; then nobody takes it or extends it."""
    store.add_job(job("a"))
    store.claim("one", NOON, 60)
    assert store.finish("a", "the engine is gone", owner="one")
    assert store.finish("a") is False
    assert store.job("a") == job("a", attempts=1, error="the engine is gone", done=True)
    assert store.claim("two", LATER, 60) is None
    assert store.extend("a", "one", LATER, 60) is False
    assert store.open_jobs() == []


def test_a_job_that_is_given_back_is_begun_at_once(store: RecordStore) -> None:
    """A router that stops in order need not have its leases run out."""
    store.add_job(job("a"))
    store.claim("one", NOON, 60)
    assert store.release("a", "one")
    assert store.job("a") == job("a", attempts=1)
    assert store.claim("two", NOON, 60) is not None


def test_open_jobs_are_found_by_their_revision(store: RecordStore) -> None:
    """The oldest first, those that are over left out."""
    for job_id, name in (("c", "legal--0"), ("b", "legal--1"), ("a", "legal--0")):
        store.add_job(job(job_id, name))
    store.add_job(job("d", "legal--0"))
    store.finish("d")
    assert [found.job_id for found in store.open_jobs("legal--0")] == ["c", "a"]
    assert [found.job_id for found in store.open_jobs()] == ["c", "b", "a"]


def test_two_never_have_the_same_job(store: RecordStore) -> None:
    """However many ask at once, each job is given out once."""
    jobs = [store.add_job(job(f"{number:02}")) for number in range(20)]
    barrier = threading.Barrier(8)

    def take(owner: int) -> list[Job]:
        barrier.wait()
        taken = []
        while (found := store.claim(str(owner), NOON, 60)) is not None:
            taken.append(found)
        return taken

    with ThreadPoolExecutor(8) as threads:
        taken = [found for each in threads.map(take, range(8)) for found in each]
    assert sorted(found.job_id for found in taken) == [found.job_id for found in jobs]
    assert {found.attempts for found in taken} == {1}


def test_a_process_takes_the_kinds_that_it_does(store: RecordStore) -> None:
    """However old a job of another kind is."""
    store.add_job(job("first"))
    store.add_job(dataclasses.replace(job("second"), kind=JobKind.PUBLISH))
    taken = store.claim("one", NOON, 30, {JobKind.PUBLISH})
    assert taken is not None
    assert taken.job_id == "second"
    assert store.claim("one", NOON, 30, {JobKind.PUBLISH, JobKind.EVALUATE}) is None


def test_old_jobs_that_are_over_are_dropped(store: RecordStore) -> None:
    """One that is open stays, however old it is, and so does what is younger."""
    for job_id in ("over", "open"):
        store.add_job(job(job_id))
    store.finish("over")
    begun = store.job("over")
    assert begun is not None
    assert store.drop_jobs(NOON - timedelta(days=1)) == 0
    assert store.drop_jobs(NOON + timedelta(days=1)) == 1
    assert store.job("over") is None
    assert [found.job_id for found in store.open_jobs()] == ["open"]
