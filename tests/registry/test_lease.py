"""A publication is somebody's as long as its process lives, and taken back soon after."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio.lowlevel
import pytest

from tame_router.config import StoreSettings
from tame_router.errors import StoreUnavailableError
from tame_router.errors_registry import RolloutError
from tame_router.registry.assessment import Assessment
from tame_router.registry.feed import Feed
from tame_router.registry.jobs.lease import extended, hold
from tame_router.registry.record import ROUTER, Job, JobKind
from tame_router.registry.records.access import Records
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.state import Event, State
from tame_router.telemetry import log
from tests.registry.known import PARTNER, approve

pytestmark = pytest.mark.anyio

LEASE_S = 0.05


@pytest.fixture
async def records(store_settings: StoreSettings, tmp_path: Path) -> AsyncIterator[Records]:
    """Give empty records, closed afterwards."""
    records = Records(store_settings, tmp_path)
    yield records
    await records.close()


async def publishing(records: Records, *job_ids: str) -> str:
    """Leave a revision as being published, with the jobs of those who began it, and name it."""
    name = await records.ask(approve)
    for job_id in job_ids:
        job = Job(
            job_id=job_id,
            kind=JobKind.PUBLISH,
            revision=name,
            actor=PARTNER,
            owner="a",
            lease_time=datetime.now(UTC) + timedelta(seconds=LEASE_S),
        )
        await records.ask(lambda store, job=job: store.add_job(job))  # type: ignore[misc]
    await records.ask(lambda store: store.happen(name, Event.PUBLISH, PARTNER, "wanted"))
    return name


async def leased_until(records: Records) -> datetime:
    """Tell until when somebody has the first job."""
    job = await records.ask(lambda store: store.job("publish-1"))
    assert job is not None
    assert job.lease_time is not None
    return job.lease_time


def assessment(records: Records) -> Assessment:
    """Make what ends publications; it asks nothing but the records for that."""
    nothing: tuple[None, ...] = (None,) * 7
    return Assessment(records, *nothing, Feed(records, poll_s=1))  # type: ignore[arg-type, call-arg]


async def test_a_lease_is_extended_as_long_as_the_work_lasts(records: Records) -> None:
    """Longer work than the lease stays its process's; afterwards the lease runs out."""
    await publishing(records, "publish-1")
    begun = await leased_until(records)
    async with extended(records, "publish-1", "a", LEASE_S):
        while await leased_until(records) < begun + timedelta(seconds=LEASE_S):
            await anyio.lowlevel.checkpoint()
    later = datetime.now(UTC) + timedelta(seconds=LEASE_S)
    taken = await records.ask(lambda store: store.claim("b", later, LEASE_S))
    assert taken is not None
    assert (taken.job_id, taken.owner) == ("publish-1", "b")


class AwayRecords(Records):
    """Records that can be away.

    Attributes:
        away: Set: they cannot be used.
        refused: Calls that were refused for it.
    """

    def __init__(self, settings: StoreSettings, state_dir: Path) -> None:
        super().__init__(settings, state_dir)
        self.away = threading.Event()
        self.refused = 0

    def _open(self) -> RecordStore:
        if self.away.is_set():
            self.refused += 1
            raise StoreUnavailableError("the database is away", retry_after_s=1)
        return super()._open()


@pytest.fixture
async def away_records(store_settings: StoreSettings, tmp_path: Path) -> AsyncIterator[AwayRecords]:
    """Give empty records that can be away, closed afterwards."""
    records = AwayRecords(store_settings, tmp_path)
    yield records
    await records.close()


async def test_a_lease_outlives_records_that_are_away(
    away_records: AwayRecords, caplog: pytest.LogCaptureFixture
) -> None:
    """It is extended once they are back, and all that is said of it are two lines."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    await publishing(away_records, "publish-1")
    begun = await leased_until(away_records)
    caplog.clear()
    async with extended(away_records, "publish-1", "a", LEASE_S):
        away_records.away.set()
        while away_records.refused < 4:
            await anyio.lowlevel.checkpoint()
        away_records.away.clear()
        while await leased_until(away_records) == begun:
            await anyio.lowlevel.checkpoint()
    assert [line.message for line in caplog.records] == ["store.failed", "store.recovered"]


async def test_work_stops_when_its_lease_ran_out_unseen(away_records: AwayRecords) -> None:
    """Records that are away for as long as the lease lasts: another process may have the job."""
    await publishing(away_records, "publish-1")
    until = asyncio.get_running_loop().time() + LEASE_S
    away_records.away.set()
    await hold(away_records, "publish-1", "a", LEASE_S, until=until)
    assert asyncio.get_running_loop().time() >= until
    assert away_records.refused >= 1


async def test_what_fails_under_a_lease_is_told_as_it_is(records: Records) -> None:
    """The error of the work comes out, not a group that holds it."""
    with pytest.raises(RolloutError, match="too few"):
        async with extended(records, "publish-1", "a", LEASE_S):
            raise RolloutError("too few")


async def test_a_publication_whose_process_died_is_taken_back(records: Records) -> None:
    """The label did not move, so the revision can be published again."""
    name = await publishing(records, "publish-1")
    job = await records.ask(lambda store: store.job("publish-1"))
    assert job is not None
    await assessment(records).abandon(job)
    record = await records.ask(lambda store: store.get(name))
    assert record is not None
    assert record.state is State.APPROVED
    changes = await records.ask(lambda store: store.changes(0, revision=name))
    assert changes[-1].actor == ROUTER


async def test_a_later_publication_is_not_taken_back_for_an_earlier_one(records: Records) -> None:
    """What is left of a call that died says nothing about the call after it."""
    name = await publishing(records, "publish-1", "publish-2")
    first, second = [await records.ask(lambda s, i=i: s.job(i)) for i in ("publish-1", "publish-2")]  # type: ignore[misc]
    await assessment(records).abandon(first)
    record = await records.ask(lambda store: store.get(name))
    assert record is not None
    assert record.state is State.PUBLISHING
    await records.ask(lambda store: store.finish("publish-1"))
    await assessment(records).abandon(second)
    record = await records.ask(lambda store: store.get(name))
    assert record is not None
    assert record.state is State.APPROVED
