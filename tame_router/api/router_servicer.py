"""`RouterService`: decide, answer, stream."""

from collections.abc import Iterator
from contextlib import contextmanager

from tame_router.answering.event import DecisionMade, Delta, Event, ExpertFinish, Final
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.question import Question
from tame_router.api.grpc_edge import Context, deadline, request_id
from tame_router.api.grpc_request import read_constraints, read_messages, read_sampling
from tame_router.api.grpc_response import write_decision, write_event, write_final, write_finish
from tame_router.config import LimitSettings
from tame_router.errors import OverloadedError
from tame_router.v1 import router_service_pb2, router_service_pb2_grpc


class RouterServicer(router_service_pb2_grpc.RouterServiceServicer):
    """Serves `tame_router.v1.RouterService`.

    Args:
        pipeline: Answers questions.
        limits: What a request may hold.
        max_answers: Answers under way at once; more are refused.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        limits: LimitSettings,
        *,
        max_answers: int,
    ) -> None:
        self._pipeline = pipeline
        self._limits = limits
        self._max_answers = max_answers
        self._answers = 0

    async def Route(
        self, request: router_service_pb2.RouteRequest, context: Context
    ) -> router_service_pb2.RouteResponse:
        """Decide who would answer."""
        decision = await self._pipeline.route(
            read_messages(request.messages, self._limits),
            read_constraints(request.constraints),
            explain=request.explain,
        )
        return router_service_pb2.RouteResponse(decision=write_decision(decision))

    async def Chat(
        self, request: router_service_pb2.ChatRequest, context: Context
    ) -> router_service_pb2.ChatResponse:
        """Answer in one message."""
        response = router_service_pb2.ChatResponse()
        texts: list[str] = []

        async def emit(event: Event) -> None:
            match event:
                case Delta():
                    texts.append(event.text)
                case DecisionMade():
                    response.answer_id = event.answer_id
                    response.decision.CopyFrom(write_decision(event.decision))
                case ExpertFinish():
                    response.experts.append(write_finish(event))
                case Final():
                    response.final.CopyFrom(write_final(event))

        question = self._question(request, context)
        with self._admission():
            await self._pipeline.answer(question, emit)
        response.content = "".join(texts)
        return response

    async def StreamChat(  # type: ignore[override]  # stubs know only the generator form
        self, request: router_service_pb2.StreamChatRequest, context: Context
    ) -> None:
        """Answer event by event."""

        async def emit(event: Event) -> None:
            await context.write(write_event(event))

        question = self._question(request, context)
        with self._admission():
            await self._pipeline.answer(question, emit)

    def _question(
        self,
        request: router_service_pb2.ChatRequest | router_service_pb2.StreamChatRequest,
        context: Context,
    ) -> Question:
        return Question(
            answer_id=request_id(),
            messages=read_messages(request.messages, self._limits),
            constraints=read_constraints(request.constraints),
            sampling=read_sampling(request.sampling),
            deadline=deadline(context),
        )

    @contextmanager
    def _admission(self) -> Iterator[None]:
        if self._answers >= self._max_answers:
            raise OverloadedError(
                f"{self._answers} answers are under way, as many as this router takes;"
                " try again in a moment",
                retry_after_s=1,
            )
        self._answers += 1
        try:
            yield
        finally:
            self._answers -= 1
