"""Two routers that share a database and a store: one label, and each job done by one of them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tame_router.client.adapter import RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.errors_registry import InvalidTransitionError, LabelMovedError
from tame_router.registry.records.record_store import RecordStore
from tame_router.store import Database
from tests.fakes.vllm_resolver import Hold
from tests.registry_fixture import (
    Site,
    answering,
    approved,
    decided,
    forget,
    label,
    seen,
    states,
)
from tests.router_fixture import happened

pytestmark = pytest.mark.anyio

Pair = tuple[AsyncClient, AsyncClient]


@pytest.fixture
async def pair(site: Site) -> AsyncIterator[Pair]:
    """Give clients of two routers with the same database and store."""
    async with site.running() as one, site.running() as two:
        yield one, two


async def test_a_label_that_one_moves_is_followed(pair: Pair, site: Site) -> None:
    """What either publishes or takes back, the other answers by too, without being told."""
    one, two = pair
    first = await approved(one, site.adapter(1))
    second = await approved(two, site.adapter(2))
    await one.adapters.publish(first)
    await seen(two, first)
    await two.adapters.publish(second)
    await seen(one, second)
    assert (await one.adapters.rollback("legal")).live == first
    await seen(two, first)
    made = await two.adapters.publish(second, canary_share=0.5)
    assert made.label.canary == second
    async with asyncio.timeout(10):
        while await answering(one) != second:
            pass
    assert await label(one) == await label(two)


async def test_each_job_is_done_once(pair: Pair, site: Site) -> None:
    """However many there are, no job is begun by both, and each state is entered once."""
    one, two = pair
    names = []
    for seed in range(4):
        client = pair[seed % 2]
        names.append((await client.adapters.upload(site.adapter(seed), "legal")).name)
    for name in names:
        assert (await decided(one, name)).state is RevisionState.APPROVED
        assert await states(two, name) == [RevisionState.APPROVED]
    database = Database(site.settings.store, site.settings.state_dir)
    try:
        store = RecordStore(database)
        assert store.open_jobs() == []
        for name in names:
            steps = [change.state for change in store.changes(0, revision=name)]
            assert steps == ["validating", "evaluating", "approved"]
            for job_id in (f"validate-{name}", f"evaluate-{name}-validate-{name}"):
                job = store.job(job_id)
                assert job is not None
                assert (job.attempts, job.done, job.error) == (1, True, "")
    finally:
        database.close()


async def test_a_rollback_elsewhere_while_one_publishes(pair: Pair, site: Site) -> None:
    """The publication finds that the label has moved, and leaves all as it is."""
    one, two = pair
    first = await approved(one, site.adapter(1))
    second = await approved(one, site.adapter(2))
    await one.adapters.publish(first)
    await seen(two, first)
    forget(site, second)
    hold = site.fakes[0].resolver.held[second] = Hold()
    async with asyncio.TaskGroup() as group:
        publishing = group.create_task(_lost(one, second))
        assert await happened(hold.reached)
        assert (await two.adapters.rollback("legal")).live == site.own
        with pytest.raises(InvalidTransitionError):
            await two.adapters.publish(second)
        hold.go_on.set()
    assert publishing.result().metadata["generation"] == "2"
    assert await states(one, first, second) == [RevisionState.RETIRED, RevisionState.APPROVED]
    for client in pair:
        await seen(client, site.own)
    assert (await two.adapters.publish(second)).label.live == second


async def test_a_change_that_one_makes_is_watched_at_the_other(pair: Pair, site: Site) -> None:
    """In order, with the caller who caused it."""
    one, two = pair
    async with two.adapters.watch(expert="legal", after_sequence=0, timeout_s=30) as changes:
        name = await approved(one, site.adapter())
        await one.adapters.publish(name)
        found = [await anext(changes) for _ in range(5)]
    assert [change.state for change in found] == [
        RevisionState.VALIDATING,
        RevisionState.EVALUATING,
        RevisionState.APPROVED,
        RevisionState.PUBLISHING,
        RevisionState.ACTIVE,
    ]
    assert [change.tenant for change in found] == ["local", "", "", "local", "local"]
    assert [bool(change.peer) for change in found] == [True, False, False, True, True]


async def _lost(client: AsyncClient, name: str) -> LabelMovedError:
    with pytest.raises(LabelMovedError) as caught:
        await client.adapters.publish(name)
    return caught.value
