"""The SDK for programs without an event loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, Unpack

import grpc

from tame_router.client.adapters import Adapters
from tame_router.client.connection import Connection, ConnectionOptions
from tame_router.client.event import Answer, Decision, Event, Expert
from tame_router.client.feedback import Rating, Receipt, feedback_request, read_receipt
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


class Client:
    """Asks a router over gRPC. Use it as a context manager; threads may share it.

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
        self._channel = self._connection.open(grpc.insecure_channel, grpc.secure_channel)
        self._router = router_service_pb2_grpc.RouterServiceStub(self._channel)
        self._experts = expert_service_pb2_grpc.ExpertServiceStub(self._channel)
        self._feedback = feedback_service_pb2_grpc.FeedbackServiceStub(self._channel)
        self.adapters = Adapters(self._connection, self._channel)

    def __enter__(self) -> Self:
        """Give the client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection; calls under way are cancelled."""
        self._channel.close()

    def route(
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
        metadata = self._connection.metadata()
        with rebuilt_errors():
            response = self._router.Route(request, timeout=timeout_s, metadata=metadata)
        return read_decision(response.decision)

    def chat(
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
        metadata = self._connection.metadata()
        with rebuilt_errors():
            return read_answer(self._router.Chat(request, timeout=timeout_s, metadata=metadata))

    @contextmanager
    def stream(
        self,
        conversation: Conversation,
        *,
        timeout_s: float | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Iterator[Event]]:
        """Open an answer that arrives while it is written; leaving the context cancels it.

        Raises:
            InvalidRequestError: When a request cannot hold a value.
            TameError: From iterating: what the server answered, as the class its reason names.
        """
        request = chat_request(router_service_pb2.StreamChatRequest, conversation, **options)
        metadata = self._connection.metadata()
        call = self._router.StreamChat(request, timeout=timeout_s, metadata=metadata)
        try:
            yield _Events(iter(call))
        finally:
            call.cancel()

    def experts(self, *, timeout_s: float | None = None) -> list[Expert]:
        """List everybody who can answer.

        Raises:
            TameError: What the server answered, as the class its reason names.
        """
        found: list[Expert] = []
        request = expert_service_pb2.ListExpertsRequest()
        while True:
            metadata = self._connection.metadata()
            with rebuilt_errors():
                page = self._experts.ListExperts(request, timeout=timeout_s, metadata=metadata)
            found += map(read_expert, page.experts)
            if not page.next_page_token:
                return found
            request = expert_service_pb2.ListExpertsRequest(page_token=page.next_page_token)

    def expert(self, name: str, *, timeout_s: float | None = None) -> Expert:
        """Look one expert up.

        Raises:
            TameError: What the server answered, as the class its reason names.
        """
        request = expert_service_pb2.GetExpertRequest(name=name)
        metadata = self._connection.metadata()
        with rebuilt_errors():
            response = self._experts.GetExpert(request, timeout=timeout_s, metadata=metadata)
        return read_expert(response.expert)

    def feedback(
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
        metadata = self._connection.metadata()
        with rebuilt_errors():
            return read_receipt(
                self._feedback.SubmitFeedback(request, timeout=timeout_s, metadata=metadata)
            )


class _Events:
    """Iterates a stream's events, passing over those this SDK does not know."""

    def __init__(self, responses: Iterator[router_service_pb2.StreamChatResponse]) -> None:
        self._responses = responses

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while True:
            try:
                response = next(self._responses)
            except grpc.RpcError as error:
                raise read_error(error) from error
            event = read_event(response)
            if event is not None:
                return event
