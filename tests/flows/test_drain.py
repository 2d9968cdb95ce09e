"""The end of the service: no new call, answers under way finish, and then everything closes."""

import time

import anyio
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tame_router import app
from tame_router.canonical_code import Code
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta, Final
from tame_router.client.rpc_error import RpcError
from tame_router.config import Settings
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Pace, Silence
from tests.router_fixture import changed, happened, next_chat, serve
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

LEGAL = QUESTIONS["legal"][0]
STATUSES = health_pb2.HealthCheckResponse


async def test_answers_under_way_finish(settings: Settings, fake_vllm: FakeVllm) -> None:
    """A stopping router says NOT_SERVING, refuses new calls, and lets an answer run to its end."""
    fake_vllm.pace = Pace(token_s=0.02)
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        address = await group.start(serve, settings, stop)
        async with (
            AsyncClient(address, attempts=1) as client,
            grpc.aio.insecure_channel(address) as channel,
            client.stream(LEGAL) as events,
        ):
            request = health_pb2.HealthCheckRequest()
            watched = aiter(health_pb2_grpc.HealthStub(channel).Watch(request))
            assert (await anext(watched)).status == STATUSES.SERVING
            while not isinstance(await anext(events), Delta):
                pass
            stop.set()
            assert (await anext(watched)).status == STATUSES.NOT_SERVING
            with pytest.raises(RpcError) as caught:
                async with AsyncClient(address, attempts=1) as late:
                    await late.route(LEGAL)
            assert caught.value.code is Code.UNAVAILABLE
            async for event in events:
                last = event
    assert isinstance(last, Final)
    assert fake_vllm.finished["stop"] == 1


async def test_who_only_watches_does_not_hold_the_end_up(settings: Settings) -> None:
    """Open health watches are ended with the drain: the grace is for answers."""
    stop = anyio.Event()
    long = changed(settings, server={"grace_s": 60})
    async with anyio.create_task_group() as group:
        address = await group.start(serve, long, stop)
        async with grpc.aio.insecure_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            known = aiter(stub.Watch(health_pb2.HealthCheckRequest()))
            unknown = aiter(stub.Watch(health_pb2.HealthCheckRequest(service="nobody")))
            assert (await anext(known)).status == STATUSES.SERVING
            assert (await anext(unknown)).status == STATUSES.SERVICE_UNKNOWN
            begun = time.perf_counter()
            stop.set()
            assert [event.status async for event in known] == [STATUSES.NOT_SERVING]
            assert [event.status async for event in unknown] == [STATUSES.SERVICE_UNKNOWN]
    assert time.perf_counter() - begun < 10


async def test_after_the_grace_answers_are_cut(settings: Settings, fake_vllm: FakeVllm) -> None:
    """An answer that does not end within the grace is ended, for the caller and for the engine."""
    fake_vllm.next(Silence(events=3))
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        address = await group.start(serve, changed(settings, server={"grace_s": 0.2}), stop)
        async with (
            AsyncClient(address, attempts=1) as client,
            client.stream(LEGAL) as events,
        ):
            received = await next_chat(fake_vllm)
            begun = time.perf_counter()
            stop.set()
            with pytest.raises(RpcError) as caught:
                [event async for event in events]
    assert time.perf_counter() - begun < 5
    assert caught.value.code is Code.UNAVAILABLE
    assert await happened(received.disconnected)


async def test_an_error_inside_still_drains(settings: Settings, fake_vllm: FakeVllm) -> None:
    """When the program around the router fails, the port is given back all the same."""
    with pytest.raises(RuntimeError, match="elsewhere"):
        async with app.running(settings) as address:
            raise RuntimeError("elsewhere")
    host, port = address.split(":")
    again = changed(settings, server={"host": host, "port": int(port)})
    async with app.running(again) as same:
        assert same == address
