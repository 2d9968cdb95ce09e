"""The SDK for asyncio programs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, Unpack

import grpc

from tame_router.client.async_adapters import AsyncAdapters
from tame_router.client.connection import Connection, ConnectionOptions
from tame_router.client.event import Answer, Decision, Event, Expert
from tame_router.client.feedback import Rating, Receipt, feedback_request, read_receipt
from tame_router.client.finished import finished
from tame_router.client.reading import read_answer, read_decision, read_event, read_expert
from tame_router.client.request import (
    Choice,
    Conversation,
    Options,
    chat_request,
    route_request,
)
from tame_router.client.rpc_error import read_error, rebuilt_errors
from tame_router.v1 import (
    expert_service_pb2,
    expert_service_pb2_grpc,
    feedback_service_pb2_grpc,
    router_service_pb2,
    router_service_pb2_grpc,
)


class AsyncClient:
    """Asks a router over gRPC. Use it as an async context manager, on one event loop.

    Args:
        target: Address, `host:port`.
        options: How to connect: key or token, TLS, metadata, attempts.

    Attributes:
        adapters: Uploads, evaluates and publishes adapters.

    Raises:
        ConfigError: When the options contradict each other, or would let a secret be read.
    """

    def __init__(self, target: str, **options: Unpack[ConnectionOptions]) -> None:
        self._connection = Connection(target, **options)
        self._channel = self._connection.open(grpc.aio.insecure_channel, grpc.aio.secure_channel)
        self._router: router_service_pb2_grpc.RouterServiceAsyncStub
        self._router = router_service_pb2_grpc.RouterServiceStub(self._channel)
        self._experts: expert_service_pb2_grpc.ExpertServiceAsyncStub
        self._experts = expert_service_pb2_grpc.ExpertServiceStub(self._channel)
        self._feedback: feedback_service_pb2_grpc.FeedbackServiceAsyncStub
        self._feedback = feedback_service_pb2_grpc.FeedbackServiceStub(self._channel)
        self.adapters = AsyncAdapters(self._connection, self._channel)

    async def __aenter__(self) -> Self:
        """Give the client itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection; calls under way are cancelled."""
        self.adapters.close()
        await self._channel.close()

    async def route(
        self,
        conversation: Conversation,
        *,
        explain: bool = False,
        timeout_s: float | None = None,
        **choice: Unpack[Choice],
    ) -> Decision:
        """Ask who would answer.

        Raises:
            TameError: What the server answered, as the class its reason names.
        """
        request = route_request(conversation, explain=explain, **choice)
        metadata = await self._connection.metadata_async()
        with rebuilt_errors():
            response = await finished(
                self._router.Route(request, timeout=timeout_s, metadata=metadata)
            )
        return read_decision(response.decision)

    async def chat(
        self,
        conversation: Conversation,
        *,
        timeout_s: float | None = None,
        **options: Unpack[Options],
    ) -> Answer:
        """Ask for a whole answer.

        Raises:
            TameError: What the server answered, as the class its reason names.
        """
        request = chat_request(router_service_pb2.ChatRequest, conversation, **options)
        metadata = await self._connection.metadata_async()
        with rebuilt_errors():
            return read_answer(
                await finished(self._router.Chat(request, timeout=timeout_s, metadata=metadata))
            )

    @asynccontextmanager
    async def stream(
        self,
        conversation: Conversation,
        *,
        timeout_s: float | None = None,
        **options: Unpack[Options],
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Open an answer that arrives while it is written; leaving the context cancels it.

        Raises:
            InvalidRequestError: When a request cannot hold a value.
            TameError: From iterating: what the server answered, as the class its reason names.
        """
        request = chat_request(router_service_pb2.StreamChatRequest, conversation, **options)
        metadata = await self._connection.metadata_async()
        call = self._router.StreamChat(request, timeout=timeout_s, metadata=metadata)
        try:
            yield _Events(aiter(call))
        finally:
            call.cancel()

    async def experts(self, *, timeout_s: float | None = None) -> list[Expert]:
        """List everybody who can answer.

        Raises:
            TameError: What the server answered, as the class its reason names.
        """
        found: list[Expert] = []
        request = expert_service_pb2.ListExpertsRequest()
        while True:
            metadata = await self._connection.metadata_async()
            with rebuilt_errors():
                page = await finished(
                    self._experts.ListExperts(request, timeout=timeout_s, metadata=metadata)
                )
            found += map(read_expert, page.experts)
            if not page.next_page_token:
                return found
            request = expert_service_pb2.ListExpertsRequest(page_token=page.next_page_token)

    async def expert(self, name: str, *, timeout_s: float | None = None) -> Expert:
        """Look one expert up.

        Raises:
            TameError: What the server answered, as the class its reason names.
        """
        request = expert_service_pb2.GetExpertRequest(name=name)
        metadata = await self._connection.metadata_async()
        with rebuilt_errors():
            response = await finished(
                self._experts.GetExpert(request, timeout=timeout_s, metadata=metadata)
            )
        return read_expert(response.expert)

    async def feedback(
        self,
        answer_id: str,
        expert: str,
        *,
        comment: str = "",
        question: str = "",
        rating: Rating | str = Rating.NONE,
        timeout_s: float | None = None,
    ) -> Receipt:
        """Say which expert an answer should have come from, and how the answer was.

        It is stored for a person to review, and teaches nothing by itself. Safe to try again:
        however often it is sent, it is stored once.

        Args:
            answer_id: The answer's own.
            expert: The right expert.
            comment: What there is to say about it, at most 2,000 characters.
            question: The question as it was asked, at most 2,000 characters; the router keeps
                none, and only feedback that brings it can teach.
            rating: `good` or `bad`, where something is said of the answer; a bad one counts for
                the trial of a canary, where `expert` is the one that answered.
            timeout_s: Longest wait, in seconds; None: no limit.

        Raises:
            TameError: What the server answered, as the class its reason names.
        """
        request = feedback_request(answer_id, expert, comment, question, rating)
        metadata = await self._connection.metadata_async()
        with rebuilt_errors():
            response = await finished(
                self._feedback.SubmitFeedback(request, timeout=timeout_s, metadata=metadata)
            )
        return read_receipt(response)


class _Events:
    """Iterates a stream's events, passing over those this SDK does not know."""

    def __init__(self, responses: AsyncIterator[router_service_pb2.StreamChatResponse]) -> None:
        self._responses = responses

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while True:
            try:
                response = await anext(self._responses)
            except grpc.RpcError as error:
                raise read_error(error) from error
            event = read_event(response)
            if event is not None:
                return event
