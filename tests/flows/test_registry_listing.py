"""Lists, histories, watching, withdrawing and garbage, as a client meets them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from sqlalchemy import Table, update

from tame_router import app
from tame_router.client.adapter import RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.errors import InvalidRequestError
from tame_router.errors_registry import InvalidTransitionError, RevisionRefusedError
from tame_router.registry.records.access import Records
from tame_router.registry.records.tables import LABEL_CHANGE, REVISION
from tame_router.registry.storage.blob_folder import BlobFolder
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.store import Database
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_registry_service_pb2_grpc as pb_grpc
from tests.registry_fixture import (
    Site,
    answering,
    approved,
    decided,
    label,
    name_of,
    states,
)

pytestmark = pytest.mark.anyio


async def test_revisions_are_listed_in_pages(site: Site) -> None:
    """The newest first, each once, by expert and state where that is asked for."""
    async with (
        app.running(site.settings) as address,
        AsyncClient(address, attempts=1) as client,
        grpc.aio.insecure_channel(address) as channel,
    ):
        names = [await approved(client, site.adapter(seed)) for seed in range(4)]
        other = await approved(client, site.adapter(9, "medical"), "medical")
        await client.adapters.publish(names[1])
        newest = [other, *reversed(names)]
        listed = pb_grpc.AdapterRegistryServiceStub(channel).ListAdapterRevisions
        sizes, found = await _pages(
            listed, pb.ListAdapterRevisionsRequest(page_size=2), "revisions"
        )
        assert (sizes, [one.name for one in found]) == ([2, 2, 1], newest)
        everything = await client.adapters.list()
        assert [one.name for one in everything.revisions] == newest
        assert [one.live for one in everything.labels] == [names[1]]
        assert not any(one.report for one in everything.revisions)
        legal = await client.adapters.list("legal", [RevisionState.APPROVED], most=2)
        assert [one.name for one in legal.revisions] == [names[3], names[2]]
        active = await client.adapters.list(states=[RevisionState.ACTIVE])
        assert [one.name for one in active.revisions] == [names[1]]
        assert (await client.adapters.list("general")).revisions == ()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await listed(pb.ListAdapterRevisionsRequest(page_token="next"))  # noqa: S106 - no password
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_label_tells_its_history(site: Site) -> None:
    """Each move with what was before, who made it and why, the newest first, in pages."""
    async with (
        app.running(site.settings) as address,
        AsyncClient(address, attempts=1) as client,
        grpc.aio.insecure_channel(address) as channel,
    ):
        first, second = [await approved(client, site.adapter(seed)) for seed in (1, 2)]
        assert (await client.adapters.history("legal")).changes == ()
        await client.adapters.publish(first)
        await client.adapters.publish(second, canary_share=0.25)
        await client.adapters.publish(second)
        await client.adapters.rollback("legal", because="它答錯了")
        await client.adapters.rollback("legal")
        history = await client.adapters.history("legal")
        assert [(one.action, one.live_before, one.label.live) for one in history.changes] == [
            ("rollback", first, site.own),
            ("rollback", second, first),
            ("publish", first, second),
            ("canary", first, first),
            ("publish", site.own, first),
        ]
        assert [one.label.generation for one in history.changes] == [5, 4, 3, 2, 1]
        assert history.changes[1].because == "它答錯了"
        assert {one.tenant for one in history.changes} == {"local"}
        assert all(one.peer.startswith("127.0.0.1:") for one in history.changes)
        assert history.label == history.changes[0].label
        listed = pb_grpc.AdapterRegistryServiceStub(channel).ListLabelHistory
        request = pb.ListLabelHistoryRequest(expert="legal", page_size=2)
        sizes, found = await _pages(listed, request, "changes")
        assert sizes == [2, 2, 1]
        assert [one.generation for one in found] == [5, 4, 3, 2, 1]
        assert len((await client.adapters.history("legal", most=3)).changes) == 3


async def test_a_life_is_watched(registry_client: AsyncClient, site: Site) -> None:
    """Every step with its number; who comes back goes on behind the last it saw."""
    name = await approved(registry_client, site.adapter(1))
    other = await approved(registry_client, site.adapter(2))
    await registry_client.adapters.publish(name)
    watch = registry_client.adapters.watch
    async with watch(name, after_sequence=0, timeout_s=30) as changes:
        steps = [await anext(changes) for _ in range(5)]
        assert [step.state for step in steps] == [
            RevisionState.VALIDATING,
            RevisionState.EVALUATING,
            RevisionState.APPROVED,
            RevisionState.PUBLISHING,
            RevisionState.ACTIVE,
        ]
        assert [step.before for step in steps] == [None, *(step.state for step in steps[:-1])]
        numbers = [step.sequence for step in steps]
        assert numbers == sorted(set(numbers))
        await registry_client.adapters.publish(other)
        assert (await anext(changes)).state is RevisionState.RETIRED
    async with watch(name, after_sequence=numbers[2], timeout_s=30) as changes:
        again = [(await anext(changes)).sequence for _ in range(2)]
        assert again == numbers[3:]
    # Without a number: where it stands now, however long ago that was.
    async with watch(name, timeout_s=30) as changes:
        assert (await anext(changes)).state is RevisionState.RETIRED
    # Of all, only what is to come.
    async with watch(timeout_s=30) as changes:
        third = await approved(registry_client, site.adapter(3))
        assert (await anext(changes)).revision.name == third


async def test_what_is_withdrawn_answers_no_more(registry_client: AsyncClient, site: Site) -> None:
    """It cannot be published or gone back to; what answers cannot be withdrawn."""
    first, second, third = [await approved(registry_client, site.adapter(n)) for n in (1, 2, 3)]
    adapters = registry_client.adapters
    gone = await adapters.retire(third)
    assert (gone.state, gone.withdrawn) == (RevisionState.RETIRED, True)
    assert (await adapters.retire(third)).withdrawn
    with pytest.raises(RevisionRefusedError, match="withdrawn"):
        await adapters.publish(third)
    await adapters.publish(first)
    await adapters.publish(second)
    with pytest.raises(InvalidTransitionError, match="roll back"):
        await adapters.retire(second)
    await adapters.retire(first)
    with pytest.raises(RevisionRefusedError, match="withdrawn"):
        await adapters.rollback("legal", first)
    # The way back leads past it.
    assert (await adapters.rollback("legal")).live == site.own
    # The same bytes again are the same revision: withdrawn.
    assert (await adapters.upload(site.adapter(3), "legal")).withdrawn
    assert await answering(registry_client) == site.own


async def test_garbage_is_what_nothing_needs(registry_client: AsyncClient, site: Site) -> None:
    """Old refused, withdrawn and replaced ones go; what answers, may, or is recent stays."""
    adapters = registry_client.adapters
    bad = site.adapter(10)
    site.fakes[0].worse[name_of(bad)] = 0.5
    await adapters.upload(bad, "legal")
    assert (await decided(registry_client, name_of(bad))).state is RevisionState.REJECTED
    replaced, live, canary, ready, gone = [
        await approved(registry_client, site.adapter(n)) for n in range(5)
    ]
    await adapters.publish(replaced)
    await adapters.publish(live)
    await adapters.publish(canary, canary_share=0.5)
    await adapters.retire(gone)
    assert (await adapters.collect()).revisions == ()
    _grow_old(site, days=365)
    young = await approved(registry_client, site.adapter(5))
    await adapters.retire(young)
    told = await adapters.collect(dry_run=True)
    assert set(told.revisions) == {name_of(bad), replaced, gone}
    store = RevisionStore(str(site.store))
    assert set(store.names()) > set(told.revisions)
    done = await adapters.collect()
    assert set(done.revisions) == set(told.revisions)
    assert 0 < done.freed_bytes == told.freed_bytes
    assert set(store.names()) == {live, canary, ready, young}
    for name in store.names():
        store.verify(name)
    assert (await adapters.collect()).freed_bytes == 0
    # What is gone is known, and told from what never was.
    assert (await adapters.get(replaced)).state is RevisionState.RETIRED
    with pytest.raises(RevisionRefusedError, match="removed"):
        await adapters.publish(replaced)
    with pytest.raises(RevisionRefusedError, match="removed"):
        await adapters.rollback("legal", replaced)
    assert await answering(registry_client, revision=live) == live
    await adapters.rollback("legal")
    # The way back leads past what was removed.
    assert (await adapters.rollback("legal")).live == site.own
    # Its bytes may come back.
    assert (await adapters.upload(site.adapter(0), "legal")).name == replaced
    assert (await adapters.publish(replaced)).label.live == replaced
    store.verify(replaced)


async def test_what_is_uploaded_again_while_it_is_removed_stays(
    registry_client: AsyncClient, site: Site
) -> None:
    """It was noted as garbage, and comes back before the store lets anybody remove it."""
    name = await approved(registry_client, site.adapter())
    await registry_client.adapters.retire(name)
    _grow_old(site, days=365)
    records = Records(site.settings.store, site.settings.state_dir)

    async def noted() -> bool:
        record = await records.ask(lambda store: store.get(name))
        return record is not None and record.removed

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        with BlobFolder(site.store).adding():
            collecting = group.create_task(registry_client.adapters.collect())
            while not await noted():
                pass
            assert (await registry_client.adapters.upload(site.adapter(), "legal")).name == name
        assert (await collecting).revisions == ()
        assert not await noted()
    await records.close()
    RevisionStore(str(site.store)).verify(name)


async def test_questions_that_cannot_be(registry_client: AsyncClient, site: Site) -> None:
    """A share, a state or a name that cannot be is told as such, and changes nothing."""
    name = await approved(registry_client, site.adapter())
    for share in (0.0, 1.0, -0.5, float("nan")):
        with pytest.raises(InvalidRequestError):
            await registry_client.adapters.publish(name, canary_share=share)
    with pytest.raises(InvalidRequestError):
        await registry_client.adapters.publish(name, request_id="a b")
    with pytest.raises(InvalidRequestError):
        await registry_client.adapters.list(states=["asleep"])
    assert await states(registry_client, name) == [RevisionState.APPROVED]
    assert (await label(registry_client)).generation == 0


async def _pages(ask: Any, request: Any, items: str) -> tuple[list[int], list[Any]]:
    """Turn all pages; give their sizes, and what is on them."""
    sizes, found = [], []
    while True:
        page = await ask(request)
        sizes.append(len(getattr(page, items)))
        found += getattr(page, items)
        if not page.next_page_token:
            return sizes, found
        request.page_token = page.next_page_token


def _grow_old(site: Site, *, days: int) -> None:
    """Let all that is recorded have happened so many days earlier."""
    then = int((datetime.now(UTC) - timedelta(days=days)).timestamp() * 1e6)
    database = Database(site.settings.store, site.settings.state_dir)
    changes: list[tuple[Table, dict[str, int]]] = [
        (REVISION, {"update_time_us": then, "create_time_us": then}),
        (LABEL_CHANGE, {"create_time_us": then}),
    ]
    try:
        with database.transaction() as connection:
            for table, values in changes:
                connection.execute(update(table).values(values))
    finally:
        database.close()
