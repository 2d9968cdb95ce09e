"""Callers who do not wait for each other: answers asked for at drawn moments, over gRPC."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import grpc
import grpc.aio

from tame_router.v1 import chat_pb2, decision_pb2, router_service_pb2

METHOD: Final = "/tame_router.v1.RouterService/StreamChat"


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of one caller's answers, of those asked for while it was counted.

    Attributes:
        asked: Answers asked for.
        answered: Answers that came whole.
        refused: Answers that were refused for want of room.
        firsts_ms: Times to the first word of those that came.
        errors: Whatever else went wrong, by its message.
        lags_ms: How much later than drawn each was asked for, which is this program's own fault.
    """

    asked: int = 0
    answered: int = 0
    refused: int = 0
    firsts_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    lags_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One who asks.

    Attributes:
        key: Its API key; empty: none.
        rate: Answers it asks for in a second, on the mean.
        deadline_s: Time that it gives each.
    """

    key: str = ""
    rate: float
    deadline_s: float = 20.0


class Load:
    """Asks one router.

    Args:
        channel: The way to it.
        text: The question.
    """

    def __init__(self, channel: grpc.aio.Channel, text: str) -> None:
        self._request = question(text)
        self._stream: Any = channel.unary_stream(
            METHOD,
            request_serializer=None,
            response_deserializer=router_service_pb2.StreamChatResponse.FromString,
        )

    async def offer(
        self, callers: Sequence[Caller], *, seconds: float, settle_s: float, seed: int
    ) -> list[Tally]:
        """Ask for some seconds, and give what became of it; all have ended then.

        Args:
            callers: Who ask, each at moments of its own.
            seconds: How long is counted.
            settle_s: How long they ask before that.
            seed: Draws the moments: a Poisson process for each caller.
        """
        tallies = [Tally() for _ in callers]
        async with asyncio.TaskGroup() as group:
            for number, caller in enumerate(callers):
                draw = Random(f"{seed} {number}")
                group.create_task(
                    self._ask_on(caller, tallies[number], draw, group, settle_s, seconds)
                )
        return tallies

    async def _ask_on(
        self,
        caller: Caller,
        tally: Tally,
        draw: Random,
        group: asyncio.TaskGroup,
        settle_s: float,
        seconds: float,
    ) -> None:
        loop = asyncio.get_running_loop()
        begun = at = loop.time()
        unread = Tally()
        while (at := at + draw.expovariate(caller.rate)) < begun + settle_s + seconds:
            wait_s = at - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            counted = tally if at >= begun + settle_s else unread
            counted.lags_ms.append((loop.time() - at) * 1e3)
            group.create_task(self._ask(caller, counted))

    async def _ask(self, caller: Caller, tally: Tally) -> None:
        loop = asyncio.get_running_loop()
        tally.asked += 1
        metadata = (("x-api-key", caller.key),) if caller.key else ()
        begun, first = loop.time(), 0.0
        call = self._stream(self._request, metadata=metadata, timeout=caller.deadline_s)
        try:
            async for event in call:
                if not first and event.HasField("delta"):
                    first = loop.time()
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                tally.refused += 1
            else:
                tally.errors[f"{error.code().name}: {error.details()}"] += 1
            return
        tally.answered += 1
        tally.firsts_ms.append((first - begun) * 1e3)


def question(text: str) -> bytes:
    """Give the request that asks one expert."""
    request = router_service_pb2.StreamChatRequest(
        messages=[chat_pb2.Message(role=chat_pb2.ROLE_USER, content=text)],
        constraints=decision_pb2.Constraints(join=decision_pb2.JOIN_SINGLE),
    )
    return request.SerializeToString()


@asynccontextmanager
async def load(address: str, text: str) -> AsyncIterator[Load]:
    """Open the way to a router.

    Args:
        address: Its gRPC address.
        text: What is asked.
    """
    async with grpc.aio.insecure_channel(address) as channel:
        await channel.channel_ready()
        yield Load(channel, text)


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value below which a share of them lies; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
