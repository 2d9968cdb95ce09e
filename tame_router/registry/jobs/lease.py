"""A job that is one process's as long as it works on it, and anyone's soon after it died."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from tame_router.errors import ServiceError
from tame_router.registry.backoff import MOST_S, Backoff
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
        keeper = group.create_task(hold(records, job_id, owner, lease_s, until=math.inf))
        try:
            yield
        except Exception as error:  # a group would wrap it, and hide what it is
            failure = error
        finally:
            keeper.cancel()
    if failure is not None:
        raise failure


async def hold(records: Records, job_id: str, owner: str, lease_s: float, *, until: float) -> None:
    """Extend the lease of a job again and again, until it is lost.

    Records that cannot be used are asked again, soon at first and then less and less often.

    Args:
        records: The records.
        job_id: The job.
        owner: The process that has it.
        lease_s: How long it has it without extending, seconds > 0.
        until: When the lease runs out as it is, on the event loop's clock; infinity: never mind,
            extend it also after that, where nobody else has taken the job.
    """
    loop = asyncio.get_running_loop()
    backoff = Backoff(lease_s / 12, min(lease_s / 3, MOST_S))
    wait_s = min(lease_s, until - loop.time()) / 3
    while (left_s := until - loop.time()) > 0:
        await asyncio.sleep(min(wait_s, left_s))
        asked = loop.time()
        try:
            mine = await records.ask(
                lambda store: store.extend(job_id, owner, datetime.now(UTC), lease_s)
            )
        except ServiceError:  # the log says so already
            wait_s = backoff.failed()
            continue
        if not mine:
            return
        backoff.worked()
        wait_s = lease_s / 3
        until = max(until, asked + lease_s)
