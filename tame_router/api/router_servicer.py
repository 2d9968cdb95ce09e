"""`RouterService`: decide, answer, stream."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message

from tame_router.admission.call import Call
from tame_router.admission.desk import Desk
from tame_router.answering.event import Event
from tame_router.answering.question import Question
from tame_router.api.grpc_answer import GatheredAnswer
from tame_router.api.grpc_edge import CALLER_GONE, Context, call_ids, caller, deadline
from tame_router.api.grpc_request import read_constraints, read_messages, read_sampling
from tame_router.api.grpc_response import write_decision, write_event
from tame_router.api.grpc_shape import read_documents, read_shape, read_user
from tame_router.api.unread import ended_when_unread
from tame_router.backends.backend import TAKEN
from tame_router.config import LimitSettings
from tame_router.v1 import decision_pb2, router_service_pb2, router_service_pb2_grpc


class _Message:
    """A message that is sent when it is awaited; no coroutine, for it may be left alone.

    Args:
        context: The call's.
        message: What is sent.
    """

    __slots__ = ("_context", "_message")

    def __init__(self, context: Context, message: Message) -> None:
        self._context = context
        self._message = message

    def __await__(self) -> Generator[Any, None, None]:
        try:
            yield from self._context.write(self._message).__await__()
        except CALLER_GONE as gone:
            # Who hangs up is booked as such, however the news of it comes.
            raise asyncio.CancelledError from gone


def _no(_: Message) -> bool:
    return False


class RouterServicer(router_service_pb2_grpc.RouterServiceServicer):
    """Serves `tame_router.v1.RouterService`.

    Args:
        desk: Answers callers within what they may use.
        limits: What a request may hold.
    """

    def __init__(self, desk: Desk, limits: LimitSettings) -> None:
        self._desk = desk
        self._limits = limits

    async def Route(
        self, request: router_service_pb2.RouteRequest, context: Context
    ) -> router_service_pb2.RouteResponse:
        """Decide who would answer."""
        decision = await self._desk.route(
            caller(),
            read_messages(request.messages, self._limits),
            read_constraints(request.constraints),
            explain=request.explain,
        )
        return router_service_pb2.RouteResponse(decision=write_decision(decision))

    async def Chat(
        self, request: router_service_pb2.ChatRequest, context: Context
    ) -> router_service_pb2.ChatResponse:
        """Answer in one message."""
        answer = GatheredAnswer()
        if request.constraints.order == decision_pb2.ORDER_INTERLEAVED:
            # One message has no columns.
            request.constraints.order = decision_pb2.ORDER_LEAD_FIRST
        await self._desk.answer(self._call(request, context, "chat"), answer.emit)
        return answer.response()

    async def StreamChat(  # type: ignore[override]  # stubs know only the generator form
        self, request: router_service_pb2.StreamChatRequest, context: Context
    ) -> None:
        """Answer event by event."""
        # gRPC's own library cannot send without waiting.
        write_now: Callable[[Message], bool] = getattr(context, "write_now", _no)

        def emit(event: Event) -> Awaitable[None]:
            message = write_event(event)
            return TAKEN if write_now(message) else _Message(context, message)

        call = self._call(request, context, "stream_chat")
        with ended_when_unread(emit, self._limits.unread_s) as watched:
            await self._desk.answer(call, watched)

    def _call(
        self,
        request: router_service_pb2.ChatRequest | router_service_pb2.StreamChatRequest,
        context: Context,
        operation: str,
    ) -> Call:
        ids = call_ids()
        question = Question(
            answer_id=ids.answer_id,
            request_id=ids.request_id,
            messages=read_messages(request.messages, self._limits),
            constraints=read_constraints(request.constraints),
            sampling=read_sampling(request.sampling),
            deadline=deadline(context),
            documents=read_documents(request.documents, self._limits),
            shape=read_shape(request),
            user=read_user(request.user),
        )
        return Call(
            caller=caller(),
            question=question,
            edge="grpc",
            operation=operation,
            begin_time=datetime.now(UTC),
        )
