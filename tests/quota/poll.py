"""Waiting for what another thread, process or server does, and nobody tells."""

import asyncio
from collections.abc import Callable

TIMEOUT_S = 10


async def until(true: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(TIMEOUT_S):
        while not true():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
