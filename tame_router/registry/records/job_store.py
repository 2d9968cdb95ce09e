"""Where long steps are kept until they are over, each done by one process at a time.

A process has a job for the length of a lease, which it extends while it works. Where it dies,
the lease runs out and another process begins the job again.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select

from tame_router.registry.record import Job, JobKind
from tame_router.registry.records.ledger import Ledger, Writing
from tame_router.registry.records.row import microseconds, read_job, write_job
from tame_router.registry.records.tables import JOB


class JobStore(Ledger):
    """Keeps jobs."""

    def add_job(self, job: Job) -> Job:
        """Add a job, or give the one that is known by its id."""
        with self._changing() as writing:
            return insert_job(writing, job)

    def job(self, job_id: str) -> Job | None:
        """Give a job, over or not; None: there is none of that id."""
        with self._database.transaction() as connection:
            row = connection.execute(select(JOB).where(JOB.c.job_id == job_id)).one_or_none()
            return None if row is None else read_job(row)

    def open_jobs(self, revision: str = "") -> Sequence[Job]:
        """Give the jobs that are not over, the oldest first.

        Args:
            revision: Only those for this; empty: for all.
        """
        query = select(JOB).where(~JOB.c.done).order_by(JOB.c.create_time_us, JOB.c.job_id)
        if revision:
            query = query.where(JOB.c.revision == revision)
        with self._database.transaction() as connection:
            return [read_job(row) for row in connection.execute(query)]

    def claim(
        self, owner: str, now: datetime, lease_s: float, kinds: Collection[JobKind] = tuple(JobKind)
    ) -> Job | None:
        """Take the oldest job that nobody has, or whose lease has run out.

        Two processes never take the same.

        Args:
            owner: Names the process.
            now: The present moment, UTC.
            lease_s: How long the job is its own, seconds > 0.
            kinds: Only one of these.

        Returns:
            The job, begun once more; None: there is none to be done.
        """
        free = JOB.c.kind.in_(sorted(kinds)) & ~JOB.c.done
        free &= or_(JOB.c.lease_time_us.is_(None), JOB.c.lease_time_us <= microseconds(now))
        oldest = select(JOB.c.job_id).where(free)
        oldest = oldest.order_by(JOB.c.create_time_us, JOB.c.job_id).limit(1)
        values = {
            "owner": owner,
            "lease_time_us": _lease(now, lease_s),
            "attempts": JOB.c.attempts + 1,
        }
        while True:
            with self._database.transaction() as connection:
                job_id = connection.execute(oldest).scalar()
            if job_id is None:
                return None
            taken = JOB.update().where(JOB.c.job_id == job_id).where(free).values(values)
            with self._database.transaction() as connection:
                # Whoever comes second finds that it is not free any more.
                if connection.execute(taken).rowcount:
                    query = select(JOB).where(JOB.c.job_id == job_id)
                    return read_job(connection.execute(query).one())

    def extend(self, job_id: str, owner: str, now: datetime, lease_s: float) -> bool:
        """Go on having a job.

        Args:
            job_id: The job.
            owner: The process that has it.
            now: The present moment, UTC.
            lease_s: How long it is still its own.

        Returns:
            Whether it is: False where another process has taken it, or it is over.
        """
        return self._change(job_id, owner, lease_time_us=_lease(now, lease_s))

    def release(self, job_id: str, owner: str) -> bool:
        """Give a job back that is not over, for the next process to begin at once.

        Returns:
            Whether it was this process' own.
        """
        return self._change(job_id, owner, owner="", lease_time_us=None)

    def postpone(self, job_id: str, owner: str, now: datetime, wait_s: float) -> bool:
        """Give a job back that is not over, for the next process to begin after a while.

        Args:
            job_id: The job.
            owner: The process that has it.
            now: The present moment, UTC.
            wait_s: How long nobody begins it; others are begun meanwhile.

        Returns:
            Whether it was this process' own.
        """
        return self._change(job_id, owner, owner="", lease_time_us=_lease(now, wait_s))

    def finish(self, job_id: str, error: str = "", *, owner: str = "") -> bool:
        """End a job.

        Args:
            job_id: The job.
            error: Why it failed for good; empty: it did not.
            owner: Only where this process has it; empty: whoever has it.

        Returns:
            Whether it ended now.
        """
        return self._change(job_id, owner, done=True, error=error, owner="", lease_time_us=None)

    def drop_jobs(self, before: datetime) -> int:
        """Drop the jobs that are over and began before a moment, and count them."""
        old = JOB.c.done & (JOB.c.create_time_us < microseconds(before))
        with self._database.transaction() as connection:
            return connection.execute(JOB.delete().where(old)).rowcount

    def _change(self, job_id: str, by: str, /, **values: object) -> bool:
        mine = (JOB.c.job_id == job_id) & ~JOB.c.done
        if by:
            mine &= JOB.c.owner == by
        with self._database.transaction() as connection:
            return connection.execute(JOB.update().where(mine).values(values)).rowcount > 0


def insert_job(writing: Writing, job: Job) -> Job:
    """Put a job into a change, or give the one that is known by its id."""
    known = writing.connection.execute(select(JOB).where(JOB.c.job_id == job.job_id))
    row = known.one_or_none()
    if row is not None:
        return read_job(row)
    writing.connection.execute(JOB.insert().values(write_job(job, writing.now)))
    return job


def _lease(now: datetime, lease_s: float) -> int:
    return microseconds(now + timedelta(seconds=lease_s))
