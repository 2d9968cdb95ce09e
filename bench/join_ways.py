"""The ways to ask a question of two domains, through a running router.

The base model alone, each of the two experts alone, and every join the router knows, with
both experts allowed. Requests are written as the wire has them, so a join that is added to
the router is asked for without a change here.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from bench.pair_question import PairQuestion
from bench.pair_score import Reply
from tame_router.routing.decision import Join
from tame_router.v1 import chat_pb2, decision_pb2, router_service_pb2, router_service_pb2_grpc

BASE = "base model alone"
FIRST = "first expert alone"
SECOND = "second expert alone"

TIMEOUT_S = 600.0
"""Longest wait for one answer; two cores that others use too can be slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to ask.

    Attributes:
        name: As tables show it.
        join: The join to ask for, both experts allowed; None: one expert is pinned.
        pin: Index of the domain whose expert is pinned; None: the fallback is, which answers
            by the base model.
    """

    name: str
    join: Join | None = None
    pin: int | None = None

    @property
    def shares(self) -> int:
        """How many experts' tokens the answer may take."""
        return 1 if self.join in {None, Join.SINGLE} else 2

    def constraints(self, question: PairQuestion, fallback: str) -> decision_pb2.Constraints:
        """Write who may answer, and how."""
        if self.join is None:
            expert = fallback if self.pin is None else question.domains[self.pin]
            return decision_pb2.Constraints(pin=expert)
        return decision_pb2.Constraints(
            allow=question.domains,
            max_experts=len(question.domains),
            join=decision_pb2.Join.Value(f"JOIN_{self.join.name}"),
        )


def ways(joins: Sequence[Join] = tuple(Join)) -> tuple[Way, ...]:
    """Give all ways there are: alone first, then joined."""
    alone = (Way(name=BASE), Way(name=FIRST, pin=0), Way(name=SECOND, pin=1))
    return (*alone, *(Way(name=f"join {join.value}", join=join) for join in joins))


class Asker:
    """Asks a running router, one question at a time.

    Args:
        channel: An open channel to its gRPC port.
        fallback: The expert that answers by the base model.
        max_tokens: The caller's limit for each expert; a join of two gets twice as many for
            the whole answer, so that it can say what both would have said alone.
    """

    def __init__(self, channel: grpc.Channel, *, fallback: str, max_tokens: int) -> None:
        self._router = router_service_pb2_grpc.RouterServiceStub(channel)
        self._fallback = fallback
        self._max_tokens = max_tokens

    def ask(self, way: Way, question: PairQuestion) -> Reply:
        """Ask one question one way; what the router refuses is a reply with a fault."""
        request = router_service_pb2.ChatRequest(
            messages=[chat_pb2.Message(role=chat_pb2.ROLE_USER, content=question.question)],
            constraints=way.constraints(question, self._fallback),
            sampling=chat_pb2.Sampling(max_tokens=self._max_tokens * way.shares, temperature=0.0),
        )
        begun = time.perf_counter()
        try:
            answer = self._router.Chat(request, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            fault = f"{error.code().name}: {error.details()}"
            elapsed_s = time.perf_counter() - begun
            return Reply(way=way.name, question=question.id, elapsed_s=elapsed_s, fault=fault)
        elapsed_s = time.perf_counter() - begun
        # Those who finished stand in the order of their ends, and the lead need not be the first.
        ended = {finish.expert for finish in answer.experts} - {self._fallback}
        selected = (expert.expert for expert in answer.decision.experts)
        return Reply(
            way=way.name,
            question=question.id,
            experts=tuple(expert for expert in selected if expert in ended),
            text=answer.content,
            prompt_tokens=answer.final.usage.prompt_tokens,
            completion_tokens=answer.final.usage.completion_tokens,
            elapsed_s=elapsed_s,
        )
