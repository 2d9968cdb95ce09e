"""Calls about adapters that stay open: so many and no more, and none holds the end up."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from tame_router import app
from tame_router.admission.adapter_desk import UPLOADS_PER_TENANT, WATCHES_PER_TENANT
from tame_router.client.async_client import AsyncClient
from tame_router.errors import OverloadedError
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_registry_service_pb2_grpc as pb_grpc
from tame_router.v1 import adapter_revision_pb2 as revision_pb
from tests.registry_fixture import Site, approved
from tests.rich_error import rich
from tests.router_fixture import changed

pytestmark = pytest.mark.anyio

FILES = ("adapter_config.json", "adapter_model.safetensors")


def announcement(number: int) -> pb.UploadAdapterRevisionRequest:
    """Announce an upload of its own."""
    files = [
        revision_pb.AdapterFile(path=path, size_bytes=100, sha256=bytes([number]) * 32)
        for path in FILES
    ]
    announced = pb.UploadAnnouncement(expert="legal", files=files)
    return pb.UploadAdapterRevisionRequest(announcement=announced)


async def test_uploads_that_are_open_are_so_many(site: Site) -> None:
    """One more is told to come again later; all else goes on, and a place that is left is free."""
    over = asyncio.Event()

    async def idle(number: int) -> AsyncIterator[pb.UploadAdapterRevisionRequest]:
        yield announcement(number)
        await over.wait()

    async with (
        app.running(site.settings) as address,
        AsyncClient(address, attempts=1) as client,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub: Any = pb_grpc.AdapterRegistryServiceStub(channel)
        name = await approved(client, site.adapter(1))
        calls = [stub.UploadAdapterRevision(idle(n)) for n in range(UPLOADS_PER_TENANT)]
        for call in calls:
            await call.read()  # it is open
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [_ async for _ in stub.UploadAdapterRevision(iter([announcement(99)]))]
        error = rich(caught.value)
        assert (error.code, error.info.reason) == ("RESOURCE_EXHAUSTED", "ROUTER_OVERLOADED")
        assert error.retry_s
        with pytest.raises(OverloadedError, match="uploads of tenant"):
            await client.adapters.validate(site.adapter(2), "legal")
        assert (await client.adapters.publish(name)).label.live == name
        over.set()
        for call in calls:
            assert await call.code() is grpc.StatusCode.ABORTED
        await approved(client, site.adapter(2))


async def test_watches_are_so_many_and_end_with_the_router(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """One more is refused; when the router stops each ends as such, long before the grace."""
    settings = changed(site.settings, server={"grace_s": 600})
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        router = AsyncExitStack()
        address = await router.enter_async_context(app.running(settings))
        client = await stack.enter_async_context(AsyncClient(address, attempts=1))
        name = await approved(client, site.adapter(1))
        watch = client.adapters.watch
        watches = [await stack.enter_async_context(watch(name)) for _ in range(WATCHES_PER_TENANT)]
        for changes in watches:
            await anext(changes)
        with pytest.raises(OverloadedError, match="16 watches of tenant"):
            async with watch(name) as changes:
                await anext(changes)
        await client.adapters.publish(name)
        await router.aclose()
        for changes in watches:
            assert [change.revision.name async for change in changes] == [name, name]
    assert [r.message for r in caplog.records if r.levelno >= logging.ERROR] == []
