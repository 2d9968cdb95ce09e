"""Adapters through the SDK without an event loop, and connections that break for real."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio.to_thread
import grpc
import pytest

from tame_router.client.adapter import Revision, RevisionState, UploadProgress
from tame_router.client.adapter_folder import read_folder
from tame_router.client.async_client import AsyncClient
from tame_router.client.client import Client
from tame_router.client.rpc_error import RpcError
from tame_router.errors import DeadlineExceededError, InvalidRequestError, RevisionNotFoundError
from tame_router.errors_registry import UploadError, UploadInterruptedError
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_registry_service_pb2_grpc
from tests.adapter_folder import MIB, write_adapter
from tests.scripted_registry import ScriptedRegistry
from tests.served_registry import serving_registry

pytestmark = pytest.mark.anyio
T = TypeVar("T")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of an adapter of a few MiB."""
    return write_adapter(tmp_path / "legal")


@pytest.fixture
def registry() -> ScriptedRegistry:
    """Give a registry."""
    return ScriptedRegistry("legal", "medical")


@pytest.fixture
async def address(registry: ScriptedRegistry) -> AsyncIterator[str]:
    """Serve it."""
    async with serving_registry(registry) as served:
        yield served


async def threaded(work: Callable[[], T]) -> T:
    """Do in a thread what must not hold up the service in this process."""
    return await anyio.to_thread.run_sync(work)


async def test_a_whole_life(address: str, registry: ScriptedRegistry, folder: Path) -> None:
    """Uploaded, read, listed, published, taken back, withdrawn, collected: as with asyncio."""

    def work() -> None:
        told: list[UploadProgress] = []
        with Client(address) as client:
            adapters = client.adapters
            assert not adapters.validate(folder, "legal").refused
            first = adapters.upload(folder, "legal", progress=told.append)
            assert told[-1] == UploadProgress(
                received_bytes=first.size_bytes, size_bytes=first.size_bytes
            )
            (folder / "README.md").write_text("another card")
            second = adapters.upload(folder, "legal")
            assert adapters.evaluate(second.name).state is RevisionState.EVALUATING
            assert adapters.publish(first.name).label.live == first.name
            canary = adapters.publish(second.name, canary_share=0.5, expected_generation=1)
            assert canary.label.canary == second.name
            assert adapters.rollback("legal", because="no").canary == ""
            assert len(adapters.history("legal").changes) == 3
            assert [r.name for r in adapters.list("legal", most=1).revisions] == [second.name]
            assert adapters.retire(second.name).withdrawn
            assert adapters.collect().revisions == (second.name,)
            with adapters.watch(first.name) as changes:
                assert next(changes).state is RevisionState.ACTIVE
            with pytest.raises(RevisionNotFoundError):
                adapters.get("legal--0000000000000000")
            with (
                pytest.raises(RevisionNotFoundError),
                adapters.watch("legal--0000000000000000") as changes,
            ):
                next(changes)

    await threaded(work)


async def test_an_upload_that_breaks_is_taken_up(
    address: str, registry: ScriptedRegistry, folder: Path
) -> None:
    """What was not acknowledged is sent again, from there on."""
    registry.script.break_at = [2 * MIB + 1, 3 * MIB]
    registry.script.break_with = lambda: UploadInterruptedError("broke")

    def work() -> Revision:
        with Client(address) as client:
            return client.adapters.upload(folder, "legal")

    made = await threaded(work)
    assert len(registry.opened) == 3
    assert registry.content[made.name]["adapter_model.safetensors"] == (
        (folder / "adapter_model.safetensors").read_bytes()
    )


async def test_no_thread_is_left_where_an_upload_is_refused(
    address: str, registry: ScriptedRegistry, folder: Path
) -> None:
    """A file that shrank, a refusal at the announcement: each ends what was sending."""
    from tests.client.test_adapters import PICKLE

    read = read_folder(folder)
    (folder / "adapter_model.safetensors").write_bytes(b"short")

    def work() -> None:
        with Client(address) as client:
            with pytest.raises(InvalidRequestError, match="became shorter"):
                client.adapters.upload(read, "legal")
            with pytest.raises(InvalidRequestError, match="became shorter"):
                client.adapters.validate(read, "legal")
            registry.script.refusal = (PICKLE,)
            with pytest.raises(UploadError):
                client.adapters.upload(folder, "legal")

    before = set(threading.enumerate())
    await threaded(work)
    # What sends is a daemon of gRPC's; the thread that did the work is kept for the next.
    for thread in {one for one in threading.enumerate() if one.daemon} - before:
        if "channel_spin" not in thread.name and not thread.name.startswith("AnyIO"):
            await anyio.to_thread.run_sync(thread.join, 20)
            assert not thread.is_alive()


@pytest.mark.parametrize("kind", ["asyncio", "threads"])
async def test_a_service_that_dies_meanwhile_is_awaited(
    registry: ScriptedRegistry, folder: Path, kind: str
) -> None:
    """Its end and its start again cost the upload nothing that was acknowledged."""
    registry.script.break_at = [3 * MIB]
    registry.script.stalled = asyncio.Event()
    finished = asyncio.Event()
    made: list[Revision] = []

    async def upload(address: str) -> None:
        if kind == "asyncio":
            async with AsyncClient(address, attempts=5) as client:
                made.append(await client.adapters.upload(folder, "legal"))
        else:

            def work() -> None:
                with Client(address, attempts=5) as client:
                    made.append(client.adapters.upload(folder, "legal"))

            await threaded(work)
        finished.set()

    async with asyncio.TaskGroup() as group:
        async with serving_registry(registry) as address:
            group.create_task(upload(address))
            await registry.script.stalled.wait()
        async with serving_registry(registry, port=int(address.rpartition(":")[2])):
            await finished.wait()
    assert len(registry.opened) == 2
    assert registry.content[made[0].name]["adapter_model.safetensors"] == (
        (folder / "adapter_model.safetensors").read_bytes()
    )


class Nameless(adapter_registry_service_pb2_grpc.AdapterRegistryServiceServicer):
    """Ends every upload without naming a revision."""

    async def UploadAdapterRevision(  # type: ignore[override]  # stubs know the generator form only
        self, requests: Any, context: Any
    ) -> None:
        """Say that nothing is left, and leave."""
        progress = pb.UploadProgress(file=3, received_bytes=1, size_bytes=1)
        await context.write(pb.UploadAdapterRevisionResponse(progress=progress))


@pytest.mark.parametrize("kind", ["asyncio", "threads"])
async def test_a_router_that_names_no_revision_is_told(folder: Path, kind: str) -> None:
    """An upload never ends well without a revision."""
    server, nameless = grpc.aio.server(), cast(Any, Nameless)()
    adapter_registry_service_pb2_grpc.add_AdapterRegistryServiceServicer_to_server(nameless, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()

    def work() -> None:
        with Client(address) as client:
            client.adapters.upload(folder, "legal")

    async def upload() -> None:
        async with AsyncClient(address) as client:
            await client.adapters.upload(folder, "legal")

    try:
        with pytest.raises(RpcError, match="named no revision"):
            await (threaded(work) if kind == "threads" else upload())
    finally:
        await server.stop(None)


async def test_watching_ends_with_its_time(address: str, registry: ScriptedRegistry) -> None:
    """With either client; the error says that the time is over."""

    def work() -> None:
        with (
            Client(address) as client,
            pytest.raises(DeadlineExceededError),
            client.adapters.watch(timeout_s=0.05) as changes,
        ):
            next(changes)

    await threaded(work)
    async with AsyncClient(address) as client, client.adapters.watch(timeout_s=0.05) as changes:
        with pytest.raises(DeadlineExceededError):
            await anext(changes)


async def test_an_upload_that_nobody_waits_for_any_more_ends(
    address: str, registry: ScriptedRegistry, folder: Path
) -> None:
    """Its thread too, and the client can be used further."""
    registry.script.break_at = [2 * MIB]
    registry.script.stalled = asyncio.Event()
    async with AsyncClient(address) as client:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(client.adapters.upload(folder, "legal"))
            await registry.script.stalled.wait()
            task.cancel()
        assert task.cancelled()
        assert (await client.adapters.upload(folder, "legal")).expert == "legal"
    assert len(registry.opened) == 2


async def test_a_refusal_in_the_middle_is_never_lost(
    address: str, registry: ScriptedRegistry, tmp_path: Path
) -> None:
    """Whatever was being sent at that moment, with either client."""
    large = write_adapter(tmp_path / "large", model_bytes=16 * MIB)
    registry.script.break_with = lambda: UploadError("not a number", metadata={"findings": "X"})

    def work() -> None:
        with Client(address, attempts=1) as client:
            for _ in range(10):
                registry.script.break_at = [8 * MIB]
                with pytest.raises(UploadError, match="not a number"):
                    client.adapters.upload(large, "legal")

    await threaded(work)
    async with AsyncClient(address, attempts=1) as client:
        for _ in range(10):
            registry.script.break_at = [8 * MIB]
            with pytest.raises(UploadError, match="not a number"):
                await client.adapters.upload(large, "legal")
