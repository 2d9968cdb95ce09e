import time, asyncio, anyio
import pytest, grpc
from tame_router import app
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import *
from tests.fakes.vllm_script import *
from tests.router_fixture import changed
from grpc_health.v1 import health_pb2, health_pb2_grpc
pytestmark = pytest.mark.anyio

async def serve(settings, stop, *, task_status):
    async with app.running(settings) as address:
        task_status.started(address)
        await stop.wait()
    print("stopped", time.perf_counter())

async def test_drain(settings, fake_vllm):
    fake_vllm.pace = Pace(token_s=0.05)
    stop = asyncio.Event()
    async with anyio.create_task_group() as g:
        address = await g.start(serve, settings, stop)
        async with grpc.aio.insecure_channel(address) as ch, AsyncClient(address, attempts=1) as client:
            watch = aiter(health_pb2_grpc.HealthStub(ch).Watch(health_pb2.HealthCheckRequest()))
            print(await anext(watch))
            async with client.stream("MOSFET 的 gate driver 要怎麼選?") as ev:
                async for e in ev:
                    print(time.perf_counter(), e)
                    if isinstance(e, Delta): stop.set()
            print(time.perf_counter(), await anext(watch))
            try:
                print(time.perf_counter(), await anext(watch))
            except Exception as e: print(time.perf_counter(), e)
