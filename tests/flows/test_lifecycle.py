"""Answers that do not run to their end: deadlines, cancellation, slow readers, a full house."""

import json
import logging
import random
import time
from contextlib import AsyncExitStack, suppress
from typing import Any

import anyio
import anyio.to_thread
import grpc
import pytest

from tame_router import app
from tame_router.canonical_code import Code
from tame_router.client.async_client import AsyncClient
from tame_router.client.client import Client
from tame_router.client.event import DecisionMade, Delta, Final
from tame_router.client.request import chat_request
from tame_router.config import Settings
from tame_router.errors import DeadlineExceededError, OverloadedError, TameError
from tame_router.v1 import router_service_pb2, router_service_pb2_grpc
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Pace, Raw, Silence
from tests.rich_error import rich
from tests.router_fixture import changed, happened, next_chat
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

LEGAL = QUESTIONS["legal"][0]
GENERAL = QUESTIONS["general"][1]


def crashes(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give the stack traces in the log that lead through our code."""
    form = logging.Formatter()
    traces = [form.formatException(r.exc_info) for r in caplog.records if r.exc_info]
    return [trace for trace in traces if "tame_router" in trace]


@pytest.mark.parametrize("events", [None, 0, 3])
async def test_a_deadline_ends_the_answer_everywhere(
    client: AsyncClient, fake_vllm: FakeVllm, events: int | None
) -> None:
    """When the caller's time is up the caller is told, and the engine stops writing."""
    fake_vllm.next(Silence(events=events))
    begun = time.perf_counter()
    with pytest.raises(DeadlineExceededError) as caught:
        await client.chat(LEGAL, timeout_s=2)  # enough to reach the engine on a busy machine
    assert time.perf_counter() - begun < 8
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert "allow more time" in caught.value.message
    assert await happened((await next_chat(fake_vllm)).disconnected)


async def test_a_deadline_ends_a_stream(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """What had arrived before the deadline was given; then comes the error."""
    fake_vllm.pace = Pace(token_s=0.2)
    async with client.stream(LEGAL, timeout_s=2) as events:
        while not isinstance(await anext(events), Delta):
            pass
        with pytest.raises(DeadlineExceededError):
            [event async for event in events]
    assert await happened((await next_chat(fake_vllm)).disconnected)


async def test_leaving_a_stream_stops_the_engine(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """A caller who has heard enough ends the generation at once."""
    fake_vllm.pace = Pace(token_s=0.2)
    async with client.stream(LEGAL) as events:
        async for event in events:
            if isinstance(event, Delta):
                break
    begun = time.perf_counter()
    assert await happened((await next_chat(fake_vllm)).disconnected)
    assert time.perf_counter() - begun < 5  # the whole answer would take 13 s
    assert fake_vllm.finished == {"stop": 0, "length": 0, "abort": 1}


async def test_leaving_a_stream_of_the_synchronous_client_stops_the_engine(
    address: str, fake_vllm: FakeVllm
) -> None:
    """The plain client's context manager cancels too."""
    fake_vllm.pace = Pace(token_s=0.2)

    def use(client: Client) -> None:
        with client.stream(LEGAL) as events:
            while not isinstance(next(events), Delta):
                pass

    with Client(address, attempts=1) as client:
        await anyio.to_thread.run_sync(use, client)
        received = await next_chat(fake_vllm)
        assert await happened(received.disconnected)


async def test_cancelling_a_whole_answer_stops_the_engine(
    client: AsyncClient, fake_vllm: FakeVllm
) -> None:
    """A cancelled `Chat` is as good as a cancelled stream."""
    fake_vllm.next(Silence())
    async with anyio.create_task_group() as group:
        group.start_soon(client.chat, LEGAL)
        received = await next_chat(fake_vllm)
        group.cancel_scope.cancel()
    assert await happened(received.disconnected)


async def test_a_caller_may_leave_at_any_moment(
    client: AsyncClient, fake_vllm: FakeVllm, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever the caller leaves, nothing crashes and the next caller is served."""
    caplog.set_level(logging.INFO, "tame_router")
    fake_vllm.pace = Pace(token_s=0.001)
    for number in range(12):
        async with client.stream(LEGAL) as events:
            for _ in range(number):  # fewer, where much arrives at once
                await anext(events, None)
    assert (await client.chat(LEGAL)).content
    assert crashes(caplog) == []


async def test_a_slow_reader_holds_the_engine_back(
    client: AsyncClient, fake_vllm: FakeVllm
) -> None:
    """What the caller does not read is not piled up here, and holds nobody else up."""
    words, count = "x" * 50_000, 500
    chunk = json.dumps({"choices": [{"index": 0, "delta": {"content": words}}]})
    end = json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    body = f"data: {chunk}\n\n" * count + f"data: {end}\n\ndata: [DONE]\n\n"
    fake_vllm.next(Raw(body=body.encode(), chop=100_000))
    async with client.stream(GENERAL) as events:
        while not isinstance(event := await anext(events), Delta):
            pass
        received = await next_chat(fake_vllm)
        assert (await client.chat(LEGAL)).content
        assert not received.ended.is_set()
        characters = len(event.text)
        async for event in events:
            characters += len(event.text) if isinstance(event, Delta) else 0
    assert isinstance(event, Final)
    assert characters == len(words) * count


async def test_a_full_house_refuses(settings: Settings, fake_vllm: FakeVllm) -> None:
    """Beyond `max_answers` a call is refused with when to come back, a decision too."""
    fake_vllm.next(Silence())
    full = changed(settings, server={"max_answers": 1})
    async with app.running(full) as address, AsyncClient(address, attempts=1) as client:
        async with client.stream(LEGAL) as events:
            assert isinstance(await anext(events), DecisionMade)
            received = await next_chat(fake_vllm)
            with pytest.raises(OverloadedError, match="try again") as caught:
                await client.chat(LEGAL)
            with pytest.raises(OverloadedError):
                async with client.stream(LEGAL) as refused:
                    await anext(refused)
            with pytest.raises(OverloadedError):
                await client.route(LEGAL)
        assert await happened(received.disconnected)
        assert (await client.chat(LEGAL)).content
    assert caught.value.retry_after_s == 1
    cause = caught.value.__cause__
    assert isinstance(cause, grpc.RpcError)
    assert rich(cause).code == "RESOURCE_EXHAUSTED"
    assert rich(cause).retry_s == 1


async def test_a_bare_client_can_cancel(channel: grpc.aio.Channel, fake_vllm: FakeVllm) -> None:
    """Cancelling works with gRPC's own stubs, before anything has arrived."""
    fake_vllm.next(Silence(events=None))
    request = chat_request(router_service_pb2.ChatRequest, LEGAL)
    call: Any = router_service_pb2_grpc.RouterServiceStub(channel).Chat(request)
    received = await next_chat(fake_vllm)
    call.cancel()
    assert await happened(received.disconnected)
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_a_storm_of_callers_leaves_nothing_behind(
    settings: Settings, fake_vllm: FakeVllm, caplog: pytest.LogCaptureFixture
) -> None:
    """Callers who finish, leave, run out of time or are refused: afterwards every place is free."""
    caplog.set_level(logging.INFO, "tame_router")
    fake_vllm.pace = Pace(token_s=0.01)
    dice = random.Random(7)
    crowded = changed(settings, server={"max_answers": 20})

    async def call(client: AsyncClient, number: int) -> None:
        limit = dice.choice([None, 0.1])
        with anyio.move_on_after(dice.random() * 0.5), suppress(TameError):
            if number % 2:
                await client.chat(LEGAL, timeout_s=limit)
            else:
                async with client.stream(LEGAL, timeout_s=limit) as events:
                    [event async for event in events]

    async with app.running(crowded) as address, AsyncClient(address, attempts=1) as client:
        async with anyio.create_task_group() as group:
            for number in range(150):
                group.start_soon(call, client, number)
        fake_vllm.pace = Pace(first_token_s=60)
        async with AsyncExitStack() as stack:
            with anyio.fail_after(10):
                for _ in range(20):
                    await _hold(stack, client)
            with pytest.raises(OverloadedError):
                await client.chat(LEGAL)
    assert crashes(caplog) == []
    assert {"call.cancelled", "call.failed"} <= {record.message for record in caplog.records}


async def _hold(stack: AsyncExitStack, client: AsyncClient) -> None:
    """Take a place and keep it; a call that was just cancelled may still hold it for a moment."""
    while True:
        events = await stack.enter_async_context(client.stream(LEGAL))
        with suppress(OverloadedError):
            assert isinstance(await anext(events), DecisionMade)
            return
