"""Work that is brought to its end, also where whoever waits for it leaves."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Do work to its end; whoever is cancelled meanwhile leaves only then.

    Args:
        work: What must not stop half-way; it must end by itself.

    Raises:
        CancelledError: When the caller was cancelled; an error of the work is not told then.
    """
    done = asyncio.shield(work)
    try:
        await asyncio.wait({done})
    except asyncio.CancelledError:
        await ended(done)
        raise
    return done.result()


async def ended(done: "asyncio.Future[T]") -> None:
    """Wait until a work has ended, however it does and however often that is cancelled."""
    while not done.done():
        with contextlib.suppress(asyncio.CancelledError):  # whoever asks raises the first one
            await asyncio.wait({done})
    if not done.cancelled():
        done.exception()  # seen: nobody else will look at it
