"""What goes wrong with replicas while a revision is published: each ends in a stated state."""

import asyncio
import os

import pytest

from tame_router.client.adapter import RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.errors import BackendUnavailableError, DeadlineExceededError
from tame_router.errors_registry import RolloutError
from tame_router.registry.storage.revision_store import RevisionStore
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_resolver import Hold
from tests.fakes.vllm_script import Received
from tests.http_wire import connect, get, read_response
from tests.registry_fixture import Site, answering, approved, forget, label, states
from tests.router_fixture import happened

pytestmark = pytest.mark.anyio

QUORUM = 0.6
"""Two of three."""


async def refused(client: AsyncClient, site: Site, name: str) -> RolloutError:
    """Publish what is refused, and make sure that nothing has changed."""
    before = await label(client)
    answers = await answering(client)
    with pytest.raises(RolloutError) as caught:
        await client.adapters.publish(name)
    assert "nothing was changed" in caught.value.message
    assert await label(client) == before
    assert await states(client, name) == [RevisionState.APPROVED]
    assert await answering(client) == answers == (before.live or site.own)
    return caught.value


@pytest.mark.parametrize("fault", ["answers_as", "broken", "missing"])
async def test_one_replica_refuses(pool_site: Site, fault: str) -> None:
    """One that loads and answers as another, or does not load: nothing moves, and it is named."""
    bad = pool_site.fakes[1]
    async with pool_site.running() as client:
        name = await approved(client, pool_site.adapter())
        forget(pool_site, name)
        _spoil(bad, fault, name)
        error = await refused(client, pool_site, name)
        assert set(error.metadata) >= {"replica_2"}
        assert not {"replica_1", "replica_3"} & set(error.metadata)
        _mend(bad)
        assert (await client.adapters.publish(name)).label.live == name
        assert await answering(client) == name


async def test_one_that_writes_nothing_is_refused(pool_site: Site) -> None:
    """A replica that loads a revision and says no word under its name holds it back."""
    async with pool_site.running() as client:
        name = await approved(client, pool_site.adapter())
        pool_site.fakes[2].texts[name] = "\N{REPLACEMENT CHARACTER}"
        error = await refused(client, pool_site, name)
        assert "without words" in error.metadata["replica_3"]


async def test_a_replica_that_loads_too_slowly(pool_site: Site) -> None:
    """It is waited for as long as is set, and no longer."""
    settings = pool_site.changed(prepare_timeout_s=1)
    slow = pool_site.fakes[0]
    async with pool_site.running(settings) as client:
        name = await approved(client, pool_site.adapter())
        forget(pool_site, name)
        hold = slow.resolver.held[name] = Hold()
        try:
            error = await refused(client, pool_site, name)
            assert "BACKEND_SILENT" in error.metadata["replica_1"]
        finally:
            hold.go_on.set()
        slow.resolver.held.clear()
        assert (await client.adapters.publish(name)).label.live == name


async def test_the_way_back_holds_up_no_publication(site: Site) -> None:
    """A server that takes its time over what was live is not waited for, and has it afterwards."""
    async with site.running() as client:
        first = await approved(client, site.adapter(1))
        second = await approved(client, site.adapter(2))
        await client.adapters.publish(first)
    fake = site.fakes[0]
    forget(site, first)
    hold = fake.resolver.held[first] = Hold()
    # A router that has just started does not know what its server has.
    async with site.running(site.changed(prepare_timeout_s=600)) as client, asyncio.timeout(60):
        try:
            assert (await client.adapters.publish(second)).label.live == second
            assert await answering(client) == second
            assert await happened(hold.reached)
        finally:
            hold.go_on.set()
        assert (await client.adapters.rollback("legal")).live == first
        assert await answering(client) == first


async def test_bytes_that_are_slow_to_read_hold_up_nobody_else(site: Site) -> None:
    """While one expert's revision is read before it is published, others' labels move."""
    async with site.running() as client:
        legal = await approved(client, site.adapter(1))
        other = await approved(client, site.adapter(2, "medical"), "medical")
        store = RevisionStore(str(site.store))
        shared = {file.sha256 for file in store.manifest(legal).files}
        slow = next(f for f in store.manifest(other).files if f.sha256 not in shared)
        blob = site.store / "blobs" / slow.sha256
        kept = blob.read_bytes()
        blob.unlink()
        os.mkfifo(blob)  # reading it waits for a writer
        async with asyncio.TaskGroup() as group:
            publishing = group.create_task(client.adapters.publish(other))
            async with asyncio.timeout(20):
                while await states(client, other) != [RevisionState.PUBLISHING]:
                    pass
                assert (await client.adapters.publish(legal)).label.live == legal
                assert (await client.adapters.rollback("legal")).live == site.own
            assert not publishing.done()
            await asyncio.to_thread(blob.write_bytes, kept)
        assert publishing.result().label.live == other


async def test_a_publisher_that_leaves(pool_site: Site) -> None:
    """Whoever gives up while replicas load has changed nothing, and may publish again."""
    async with pool_site.running() as client:
        name = await approved(client, pool_site.adapter())
        forget(pool_site, name)
        hold = pool_site.fakes[0].resolver.held[name] = Hold()
        try:
            with pytest.raises(DeadlineExceededError):
                await client.adapters.publish(name, timeout_s=1)
            assert hold.reached.is_set()
            async with client.adapters.watch(name, timeout_s=10) as changes:
                async for change in changes:
                    if change.state is RevisionState.APPROVED:
                        break
        finally:
            hold.go_on.set()
        assert await answering(client) == pool_site.own
        assert (await client.adapters.publish(name)).label.generation == 1


async def test_a_quorum_goes_on_without_one(pool_site: Site) -> None:
    """With two of three it is published; the third is asked nothing that it does not have."""
    bad = pool_site.fakes[1]
    async with pool_site.running(pool_site.changed(quorum=QUORUM)) as client:
        name = await approved(client, pool_site.adapter())
        forget(pool_site, name)
        bad.resolver.missing.add(name)
        assert (await client.adapters.publish(name)).label.live == name
        bad.received.clear()
        for _ in range(20):
            assert await answering(client) == name
        assert [chat for chat in bad.chats if not probe(chat)] == []
        for fake in pool_site.fakes[1:]:
            fake.resolver.missing.add(other := await approved(client, pool_site.adapter(2)))
            forget(pool_site, other)
        error = await refused(client, pool_site, other)
        assert set(error.metadata) >= {"replica_2", "replica_3"}


async def test_one_that_comes_back_is_brought_up_first(pool_site: Site) -> None:
    """A replica that was away while the label moved loads what is live before it answers."""
    away, http = pool_site.fakes[2], list[str]()
    settings = pool_site.changed(quorum=QUORUM)
    async with pool_site.running(settings, announce_http=http.append) as client:
        first = await approved(client, pool_site.adapter(1))
        second = await approved(client, pool_site.adapter(2))
        await client.adapters.publish(first)
        away.kill()
        await ejected(http[0])
        assert (await client.adapters.publish(second)).label.live == second
        assert await answering(client) == second
        away.received.clear()
        hold = away.resolver.held[second] = Hold()
        away.revive()
        try:
            # It stands in the door, and callers are answered by the others.
            assert await happened(hold.reached)
            for _ in range(20):
                assert await answering(client) == second
            assert [chat for chat in away.chats if not probe(chat)] == []
        finally:
            hold.go_on.set()
        # The others leave: now it is the one that answers, at once and with what is live.
        for fake in pool_site.fakes[:2]:
            fake.kill()
        assert await answered(client) == second
        assert away.resolver.loaded[-1] == second


async def test_no_replica_is_there(pool_site: Site) -> None:
    """With all of them away publication is refused with the reason of each."""
    async with pool_site.running() as client:
        name = await approved(client, pool_site.adapter())
        for fake in pool_site.fakes:
            fake.kill()
        with pytest.raises(RolloutError) as caught:
            await client.adapters.publish(name)
        assert set(caught.value.metadata) >= {"replica_1", "replica_2", "replica_3"}
        assert await states(client, name) == [RevisionState.APPROVED]
        assert (await label(client)).generation == 0


async def test_a_replica_that_lost_everything(pool_site: Site) -> None:
    """All are started anew after a publication: what is live is loaded and answers again."""
    async with pool_site.running() as client:
        name = await approved(client, pool_site.adapter())
        await client.adapters.publish(name)
        for fake in pool_site.fakes:
            fake.kill()
        for fake in pool_site.fakes:
            fake.revive()
        assert await answered(client) == name


async def answered(client: AsyncClient) -> str:
    """Ask until somebody answers."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await answering(client)
            except BackendUnavailableError:
                continue


async def ejected(address: str) -> None:
    """Look until a router has given up a replica that is away."""
    async with asyncio.timeout(20):
        while 'state="ejected"} 1.0' not in await page(address, "/metrics"):
            pass


async def page(address: str, path: str) -> str:
    """Get a page of text."""
    async with await connect(address) as stream:
        await stream.send(get(path))
        _, _, body = await read_response(stream)
    return body.decode()


def probe(chat: Received) -> bool:
    """Tell whether a request is one of the router's own."""
    return [message["content"] for message in chat.body["messages"]] == ["."]


def _spoil(fake: FakeVllm, fault: str, name: str) -> None:
    if fault == "answers_as":
        fake.resolver.answers_as[name] = fake.base_model
    else:
        getattr(fake.resolver, fault).add(name)


def _mend(fake: FakeVllm) -> None:
    fake.resolver.answers_as.clear()
    fake.resolver.broken.clear()
    fake.resolver.missing.clear()
