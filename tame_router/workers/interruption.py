"""Work that is given up when something happens."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Do a piece of work, or give it up once an event is set.

    Args:
        event: What it is given up for.
        work: Cancelled then; it must raise nothing.

    Returns:
        What the work gives; None: it was given up.
    """
    async with asyncio.TaskGroup() as group:
        working = group.create_task(work)
        waiting = group.create_task(event.wait())
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        working.cancel()  # no change where it is done
    return None if working.cancelled() else working.result()
