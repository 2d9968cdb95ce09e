"""What becomes of jobs that fail: begun again, or given up."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from tame_router.config import StoreSettings
from tame_router.errors import BackendUnavailableError, DeadlineExceededError, TameError
from tame_router.registry.jobs.worker import MOST_TIMEOUTS, Worker
from tame_router.registry.record import Job, JobKind
from tame_router.registry.records.access import Records
from tests.registry.known import job
from tests.registry.test_lease import AwayRecords

pytestmark = pytest.mark.anyio


@pytest.fixture
async def records(store_settings: StoreSettings, tmp_path: Path) -> AsyncIterator[Records]:
    """Give empty records, closed afterwards."""
    records = Records(store_settings, tmp_path)
    yield records
    await records.close()


async def begun(records: Records, error: TameError, enough: int) -> tuple[int, list[str]]:
    """Have a job fail until it is given up, or was begun often enough.

    Returns:
        How often it was begun, and what was said as it was given up.
    """
    begun, given_up, over = 0, list[str](), asyncio.Event()

    async def fail(_: Job) -> None:
        nonlocal begun
        begun += 1
        if begun == enough:
            over.set()
        raise error

    async def give_up(_: Job, because: str) -> None:
        given_up.append(because)
        over.set()

    await records.ask(lambda store: store.add_job(job("one")))
    steps = {JobKind.VALIDATE: fail}
    worker = Worker(records, steps, give_up, owner="a", lease_s=9, poll_s=0.01)
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run)
        with anyio.fail_after(20):
            await over.wait()
        group.cancel_scope.cancel()
    return begun, given_up


async def test_what_takes_too_long_is_not_begun_for_ever(records: Records) -> None:
    """Each time keeps others waiting for all of its time: it is given up at the second."""
    error = DeadlineExceededError("it took longer than 1800 s")
    assert await begun(records, error, 5) == (MOST_TIMEOUTS, [error.message])


async def test_what_is_away_is_waited_for_longer(records: Records) -> None:
    """An engine comes back: it is asked again more often than one that takes too long."""
    assert await begun(records, BackendUnavailableError("it is away"), 5) == (5, [])


async def test_work_goes_on_while_the_records_are_away(
    store_settings: StoreSettings, tmp_path: Path
) -> None:
    """As long as its lease lasts: nobody else can have begun the job."""
    records = AwayRecords(store_settings, tmp_path)
    working, ended = asyncio.Event(), asyncio.Event()

    async def work(_: Job) -> None:
        working.set()
        while records.refused < 2:
            await anyio.lowlevel.checkpoint()
        records.away.clear()
        ended.set()

    async def give_up(_: Job, because: str) -> None:
        pytest.fail(because)

    await records.ask(lambda store: store.add_job(job("one")))
    steps = {JobKind.VALIDATE: work}
    worker = Worker(records, steps, give_up, owner="a", lease_s=6, poll_s=60)
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run)
        with anyio.fail_after(20):
            await working.wait()
            records.away.set()
            await ended.wait()
            while await records.ask(lambda store: store.open_jobs()):
                pass
        group.cancel_scope.cancel()
    left = await records.ask(lambda store: store.job("one"))
    await records.close()
    assert left is not None
    assert (left.attempts, left.done, left.error) == (1, True, "")


async def test_a_worker_that_lost_its_lease_stops(records: Records) -> None:
    """Another process has taken its job: what it does is broken off, and the other ends the job."""
    working, stopped = asyncio.Event(), asyncio.Event()

    async def work(_: Job) -> None:
        working.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def give_up(_: Job, because: str) -> None:
        pytest.fail(because)

    await records.ask(lambda store: store.add_job(job("one")))
    steps = {JobKind.VALIDATE: work}
    worker = Worker(records, steps, give_up, owner="a", lease_s=0.3, poll_s=60)
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run)
        with anyio.fail_after(20):
            await working.wait()
            later = datetime.now(UTC) + timedelta(hours=1)
            taken = await records.ask(lambda store: store.claim("b", later, 60))
            await stopped.wait()
        group.cancel_scope.cancel()
    assert taken is not None
    left = await records.ask(lambda store: store.job("one"))
    assert left is not None
    assert (left.owner, left.done) == ("b", False)
