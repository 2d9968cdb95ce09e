"""A job that is one process's as long as it works on it, and anyone's soon after it died."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from tame_router.errors import ServiceError
from tame_router.registry.records.access import Records


@asynccontextmanager
async def extended(
    records: Records, job_id: str, owner: str, lease_s: float
) -> AsyncIterator[None]:
    """Extend the lease of a job again and again, as long as the context lasts.

    Where the records cannot be used the lease runs out, and another process begins the job
    again: what this one does then must fail on the states that it finds.

    Args:
        records: The records.
        job_id: The job.
        owner: The process that has it.
        lease_s: How long it has it without extending, seconds > 0.
    """
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(_extend(records, job_id, owner, lease_s))
        try:
            yield
        except Exception as error:  # a group would wrap it, and hide what it is
            failure = error
        finally:
            keeper.cancel()
    if failure is not None:
        raise failure


async def _extend(records: Records, job_id: str, owner: str, lease_s: float) -> None:
    while True:
        await asyncio.sleep(lease_s / 3)
        with contextlib.suppress(ServiceError):  # the log says so already
            await records.ask(lambda store: store.extend(job_id, owner, datetime.now(UTC), lease_s))
