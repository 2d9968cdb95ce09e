"""A service whose adapters lie in a bucket, while the bucket answers 503: stated states, no loss.

The bucket is a real S3-compatible server's. The engine is the fake one, which looks for a
revision as the real one does: through our resolver's source.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tame_router.client.adapter import RevisionState, UploadProgress
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tame_router.errors_registry import RolloutError, StorageUnavailableError
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.telemetry import log
from tame_router.vllm_plugin.source import AdapterSource
from tame_router.vllm_plugin.variables import Variables
from tests.fakes.vllm_resolver import Hold
from tests.registry_fixture import (
    Site,
    answering,
    approved,
    decided,
    forget,
    label,
    name_of,
    states,
)
from tests.s3_fixture import BUCKET, S3Server

pytestmark = [pytest.mark.anyio, pytest.mark.s3]

URL = f"s3://{BUCKET}/shared/adapters"


@pytest.fixture
def bucket_site(site: Site, s3_server: S3Server) -> Site:
    """Give a place whose engine loads what it finds in the bucket, and nothing else."""
    copies = site.folder / "copies"
    source = AdapterSource(Variables(store=URL, cache=copies))
    site.fakes[0].resolver.found = lambda name: source.folder(name) is not None
    return site


@pytest.fixture
async def client(bucket_site: Site) -> AsyncIterator[AsyncClient]:
    """Give a client of a router over the bucket."""
    async with bucket_site.running(in_bucket(bucket_site)) as client:
        yield client


def in_bucket(site: Site) -> Settings:
    """Give the settings of a router over the bucket."""
    return site.changed(url=URL)


@asynccontextmanager
async def away(server: S3Server) -> AsyncIterator[None]:
    """Have the bucket answer 503 for a while."""
    server.shut = True
    try:
        yield
    finally:
        server.shut = False


def unavailable(error: StorageUnavailableError) -> bool:
    """Tell whether an error says what the caller needs, and nothing of the bucket."""
    told = "cannot be used now; nothing was changed" in error.message
    inner = URL in error.message or "503" in error.message
    return told and (error.retry_after_s or 0) > 0 and not inner


async def test_a_life_in_a_bucket(client: AsyncClient, bucket_site: Site) -> None:
    """A revision goes from the folder to live, and back, as it does on a disk."""
    first = await approved(client, bucket_site.adapter(1))
    second = await approved(client, bucket_site.adapter(2))
    assert RevisionStore(URL).names() == sorted([first, second])
    for name in (first, second):
        assert (await client.adapters.publish(name)).label.live == name
        assert await answering(client) == name
    assert (await client.adapters.rollback("legal")).live == first
    assert await answering(client) == first


async def test_an_upload_that_cannot_be_kept(
    client: AsyncClient, bucket_site: Site, s3_server: S3Server
) -> None:
    """There is no revision of it; what was received stays, and is kept when the bucket is back."""
    folder = bucket_site.adapter()
    async with away(s3_server):
        for _ in range(2):
            with pytest.raises(StorageUnavailableError) as caught:
                await client.adapters.upload(folder, "legal")
            assert unavailable(caught.value)
            assert (await client.adapters.list()).revisions == ()
    assert RevisionStore(URL).names() == []
    told: list[UploadProgress] = []
    name = (await client.adapters.upload(folder, "legal", progress=told.append)).name
    assert told[0].received_bytes == told[0].size_bytes  # nothing of it was sent again
    assert (await decided(client, name)).state is RevisionState.APPROVED
    RevisionStore(URL).verify(name)
    uploads = bucket_site.settings.state_dir / "uploads"
    assert [path for path in uploads.rglob("*") if path.is_file()] == []


async def test_a_judgement_waits_for_the_bucket(
    client: AsyncClient,
    bucket_site: Site,
    s3_server: S3Server,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A revision whose bytes cannot be read now is judged later, and not refused."""
    caplog.set_level(logging.WARNING, log.LOGGER.name)
    folder, fake = bucket_site.adapter(), bucket_site.fakes[0]
    name = name_of(folder)
    fake.worse[name] = 0.5
    await client.adapters.upload(folder, "legal")
    assert (await decided(client, name)).state is RevisionState.REJECTED
    fake.worse.clear()
    async with client.adapters.watch(name, timeout_s=60) as changes:
        await anext(changes)
        async with away(s3_server):
            await client.adapters.evaluate(name)  # from the beginning: its bytes first
            assert (await anext(changes)).state is RevisionState.VALIDATING
            async with asyncio.timeout(30):
                while "adapter.job_failed" not in {one.message for one in caplog.records}:
                    assert await states(client, name) == [RevisionState.VALIDATING]
        assert (await anext(changes)).state is RevisionState.EVALUATING
        assert (await anext(changes)).state is RevisionState.APPROVED


async def test_nothing_moves_while_the_bucket_is_away(
    client: AsyncClient, bucket_site: Site, s3_server: S3Server
) -> None:
    """Publication and garbage collection are refused, and what is live goes on answering."""
    first = await approved(client, bucket_site.adapter(1))
    second = await approved(client, bucket_site.adapter(2))
    await client.adapters.publish(first)
    before = await label(client)
    async with away(s3_server):
        for call in (client.adapters.publish(second), client.adapters.collect()):
            with pytest.raises(StorageUnavailableError) as caught:
                await call
            assert unavailable(caught.value)
        assert await label(client) == before
        assert await states(client, second) == [RevisionState.APPROVED]
        assert await answering(client) == first
        # What replicas have loaded can be gone back to: no byte is read for it.
        assert (await client.adapters.rollback("legal")).live == bucket_site.own
        assert await answering(client) == bucket_site.own
    assert (await client.adapters.publish(second)).label.live == second
    assert await answering(client) == second


async def test_an_engine_that_cannot_fetch(
    client: AsyncClient,
    bucket_site: Site,
    s3_server: S3Server,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its name is unknown there, no half copy stays, and publication fails with nothing changed."""
    name = await approved(client, bucket_site.adapter())
    forget(bucket_site, name)
    copies = bucket_site.folder / "copies"
    drop(copies)
    hold = bucket_site.fakes[0].resolver.held[name] = Hold()
    async with asyncio.TaskGroup() as group:
        refused = group.create_task(refusal(client, name))
        assert await asyncio.to_thread(hold.reached.wait, 30)
        s3_server.shut = True
        hold.go_on.set()
    s3_server.shut = False
    assert "nothing was changed" in refused.result().message
    assert f"cannot load {name}" in caplog.text
    assert [path for path in copies.rglob("*") if path.name == "adapter_config.json"] == []
    assert (await label(client)).generation == 0
    assert await states(client, name) == [RevisionState.APPROVED]
    bucket_site.fakes[0].resolver.held.clear()
    assert (await client.adapters.publish(name)).label.live == name
    assert await answering(client) == name


async def test_a_router_that_starts_meanwhile(bucket_site: Site, s3_server: S3Server) -> None:
    """It serves what is live, which engines have; going back to what they lack waits."""
    async with bucket_site.running(in_bucket(bucket_site)) as client:
        first = await approved(client, bucket_site.adapter(1))
        second = await approved(client, bucket_site.adapter(2))
        await client.adapters.publish(first)
        await client.adapters.publish(second)
    async with away(s3_server), bucket_site.running(in_bucket(bucket_site)) as client:
        assert await answering(client) == second
        with pytest.raises(StorageUnavailableError) as caught:
            await client.adapters.rollback("legal")
        assert unavailable(caught.value)
        assert (await label(client)).live == second
        s3_server.shut = False
        assert (await client.adapters.rollback("legal")).live == first
        assert await answering(client) == first


async def refusal(client: AsyncClient, name: str) -> RolloutError:
    """Publish what is refused."""
    with pytest.raises(RolloutError) as caught:
        await client.adapters.publish(name)
    return caught.value


def drop(folder: Path) -> None:
    """Remove an engine's copies, as the operator may at any time."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
