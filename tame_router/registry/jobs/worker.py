"""Jobs: long steps that are recorded, so that another process takes them up after a crash."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tame_router.errors import DeadlineExceededError, ServiceError, TameError
from tame_router.errors_registry import RegistryError
from tame_router.registry.backoff import Backoff
from tame_router.registry.jobs.lease import hold
from tame_router.registry.observer import UNOBSERVED, Observer
from tame_router.registry.record import Job, JobKind
from tame_router.registry.records.access import Records
from tame_router.telemetry import log

if TYPE_CHECKING:  # the database's library is loaded with it
    from tame_router.registry.records.record_store import RecordStore

MOST_ATTEMPTS: Final = 30
"""Times a job is begun before it counts as failed: some 25 minutes of what is away."""

MOST_TIMEOUTS: Final = 2
"""The same of one that takes too long; each time has kept the others waiting for all of it."""

LONGEST_WAIT_S: Final = 60.0
"""Longest wait before a job that failed is begun again; the first is `poll_s`, then it doubles."""

Step = Callable[[Job], Awaitable[None]]
"""Does a job. It may be done twice, where a process died before it said that it was done."""

GiveUp = Callable[[Job, str], Awaitable[None]]
"""Leaves the revision of a job that cannot be done in a stated state; told why."""


class _LeaseLostError(Exception):
    """Another process has the job now, or it is over: whoever did it must stop."""


class Worker:
    """Does jobs of some kinds, one at a time.

    Args:
        records: The records.
        steps: What does each kind of job; others are left to others.
        give_up: What becomes of a job that cannot be done.
        owner: Names this process among those that share the records.
        lease_s: Time for which a job is one process's; extended while it works.
        poll_s: Time after which jobs of others are seen, at most.
        observer: Is told of jobs that fail.
    """

    def __init__(
        self,
        records: Records,
        steps: Mapping[JobKind, Step],
        give_up: GiveUp,
        *,
        owner: str,
        lease_s: float,
        poll_s: float,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._records = records
        self._steps = steps
        self._give_up = give_up
        self._owner = owner
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._observer = observer
        self._news = asyncio.Event()
        self._backoff = Backoff(poll_s)

    def wake(self) -> None:
        """Say that there is a new job."""
        self._news.set()

    async def run(self) -> None:
        """Do jobs as they come, until cancelled; the one under way is then left to the next."""
        while True:
            self._news.clear()  # before looking: what comes in the meantime is not missed
            try:
                there = await self._records.present()
                job = await self._records.ask(self._claim) if there else None
            except ServiceError:  # the log says so already
                await self._rest(self._backoff.failed())
                continue
            if job is not None:
                await self._take(job)
                continue
            self._backoff.worked()
            await self._rest(self._poll_s)

    async def _rest(self, wait_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._news.wait()

    async def _take(self, job: Job) -> None:
        """Do a job, whatever becomes of it."""
        try:
            async with asyncio.TaskGroup() as group:
                keeper = group.create_task(self._keep(job))
                try:
                    await self._do(job)
                finally:
                    keeper.cancel()
        except BaseExceptionGroup as group_error:
            # The lease is lost, or the records are gone: another process has the job, or will.
            told = "; ".join(str(error) for error in group_error.exceptions)
            log.event(logging.WARNING, "adapter.job_left", job=job.job_id, because=told)
            await asyncio.sleep(self._backoff.failed())
        else:
            self._backoff.worked()

    async def _keep(self, job: Job) -> None:
        """Keep a job this process's while it works.

        Raises:
            _LeaseLostError: When it is another's, or may be: the records could not be used for so
                long. The work is cancelled by that.
        """
        lease_s = self._lease_s
        left_s = (job.lease_time - datetime.now(UTC)).total_seconds() if job.lease_time else lease_s
        until = asyncio.get_running_loop().time() + left_s
        await hold(self._records, job.job_id, self._owner, lease_s, until=until)
        raise _LeaseLostError("its lease ran out, and another process has it, or will")

    def _claim(self, store: "RecordStore") -> Job | None:
        return store.claim(self._owner, datetime.now(UTC), self._lease_s, self._steps.keys())

    async def _do(self, job: Job) -> None:
        if job.attempts > MOST_ATTEMPTS:
            await self._end(job, f"it was begun {MOST_ATTEMPTS} times, and never ended")
            return
        try:
            await self._steps[job.kind](job)
        except ServiceError:
            raise  # the records are gone: the job stays
        except TameError as error:
            if _for_good(error, job.attempts):
                await self._end(job, error.message)
            else:
                await self._postpone(job, error.message)
        else:
            await self._records.ask(lambda store: store.finish(job.job_id, owner=self._owner))

    async def _postpone(self, job: Job, because: str) -> None:
        """Let others go first, and begin a job again later."""
        log.event(logging.WARNING, "adapter.job_failed", job=job.job_id, because=because)
        self._observer.adapter_job_failed(job.kind, for_good=False)
        wait_s = min(self._poll_s * 2**job.attempts, LONGEST_WAIT_S)
        await self._records.ask(
            lambda store: store.postpone(job.job_id, self._owner, datetime.now(UTC), wait_s)
        )

    async def _end(self, job: Job, because: str) -> None:
        log.event(logging.WARNING, "adapter.job_given_up", job=job.job_id, because=because)
        self._observer.adapter_job_failed(job.kind, for_good=True)
        await self._give_up(job, because)
        await self._records.ask(lambda store: store.finish(job.job_id, because, owner=self._owner))


def _for_good(error: TameError, attempts: int) -> bool:
    """Tell whether a job that failed so is begun no more."""
    if isinstance(error, DeadlineExceededError):
        return attempts >= MOST_TIMEOUTS
    # A storage that is away comes back; what else the registry refuses it refuses for good.
    return isinstance(error, RegistryError) and error.retry_after_s is None
