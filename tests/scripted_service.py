"""Servers of our protos that do what a test says: for what a whole router would never do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from tame_router.admission.reception import Reception
from tame_router.api.grpc_edge import EdgeInterceptor
from tame_router.identity.authenticator import Insecure
from tame_router.v1 import (
    expert_service_pb2_grpc,
    feedback_service_pb2_grpc,
    router_service_pb2,
    router_service_pb2_grpc,
)


@asynccontextmanager
async def serving(
    router: Any = None, experts: Any = None, feedback: Any = None, *, edge: bool = True
) -> AsyncIterator[str]:
    """Serve on a free port, and give the address.

    Args:
        router: Servicer of `RouterService`; None: not served.
        experts: Servicer of `ExpertService`; None: not served.
        feedback: Servicer of `FeedbackService`; None: not served.
        edge: Put this project's edge before the servicers.
    """
    server = grpc.aio.server(
        interceptors=[EdgeInterceptor(Reception(Insecure()))] if edge else None
    )
    if router is not None:
        router_service_pb2_grpc.add_RouterServiceServicer_to_server(router, server)
    if experts is not None:
        expert_service_pb2_grpc.add_ExpertServiceServicer_to_server(experts, server)
    if feedback is not None:
        feedback_service_pb2_grpc.add_FeedbackServiceServicer_to_server(feedback, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


class Unwritten(router_service_pb2_grpc.RouterServiceServicer):
    """Leaves every method out, for scripts that need only one."""

    async def Route(self, request: Any, context: Any) -> Any:
        """Refuse."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not in the script")

    async def Chat(self, request: Any, context: Any) -> Any:
        """Refuse."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not in the script")

    async def StreamChat(  # type: ignore[override]  # stubs know only the generator form
        self, request: Any, context: Any
    ) -> None:
        """Refuse."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not in the script")


class Failing(Unwritten):
    """Raises an error from every method, the stream after some events.

    Args:
        error: What to raise.
        events: What the stream sends first.

    Attributes:
        calls: Calls so far.
    """

    def __init__(self, error: BaseException, *events: Any) -> None:
        self.calls = 0
        self._error = error
        self._events = events

    async def Route(self, request: Any, context: Any) -> Any:
        """Raise the error."""
        self.calls += 1
        raise self._error

    async def Chat(self, request: Any, context: Any) -> Any:
        """Raise the error."""
        self.calls += 1
        raise self._error

    async def StreamChat(  # type: ignore[override]  # stubs know only the generator form
        self, request: Any, context: Any
    ) -> None:
        """Send the events, then raise the error."""
        self.calls += 1
        for event in self._events:
            await context.write(event)
        raise self._error


class Aborting(Unwritten):
    """Ends `Chat` with a bare status.

    Args:
        code: The status code.
        details: Its words.
        trailing: Trailing metadata.
    """

    def __init__(
        self, code: grpc.StatusCode, details: str, trailing: tuple[tuple[str, bytes], ...] = ()
    ) -> None:
        self._status = (code, details, trailing)

    async def Chat(self, request: Any, context: Any) -> Any:
        """Abort."""
        await context.abort(*self._status)


class Scripted(Unwritten):
    """Streams the events it was given, as they are.

    Args:
        events: Messages of `StreamChat`.
    """

    def __init__(self, *events: router_service_pb2.StreamChatResponse) -> None:
        self._events = events

    async def StreamChat(  # type: ignore[override]  # stubs know only the generator form
        self, request: Any, context: Any
    ) -> None:
        """Send the events."""
        for event in self._events:
            await context.write(event)
