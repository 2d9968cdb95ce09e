"""A publication is somebody's as long as its process lives, and taken back soon after."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio.lowlevel
import pytest

from tame_router.config import StoreSettings
from tame_router.errors_registry import RolloutError
from tame_router.registry.assessment import Assessment
from tame_router.registry.feed import Feed
from tame_router.registry.jobs.lease import extended
from tame_router.registry.record import ROUTER, Job, JobKind
from tame_router.registry.records.access import Records
from tame_router.registry.state import Event, State
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
