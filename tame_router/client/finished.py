"""Waiting for a call of `grpc.aio`."""

import asyncio
from typing import Any, TypeVar

import grpc

_ResponseT = TypeVar("_ResponseT")


async def finished(
    call: grpc.aio.UnaryUnaryCall[Any, _ResponseT],
) -> _ResponseT:
    """Wait for a call, and let a cancellation through as it came.

    Awaited directly, gRPC raises one of its own making in its place, which a cancel scope of
    anyio (and so of Starlette) does not know as its own.
    """
    over = asyncio.Event()
    call.add_done_callback(lambda _: over.set())
    try:
        await over.wait()
    except asyncio.CancelledError:
        call.cancel()
        raise
    return await call
