"""A publication that its caller leaves ends: no revision stays as being published for good."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import anyio.lowlevel
import pytest

from tame_router.client.adapter import RevisionState
from tame_router.config import StoreSettings
from tame_router.errors import TameError
from tame_router.errors_registry import RolloutError
from tame_router.registry.feed import Feed
from tame_router.registry.jobs.leavings import BECAUSE, Leavings
from tame_router.registry.record import ROUTER, JobKind, RevisionRecord
from tame_router.registry.records.access import Records
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.request import Publication
from tame_router.registry.rollout.label_mover import LabelMover
from tame_router.registry.rollout.publication import Publisher
from tame_router.registry.state import Event, State
from tests.registry.known import PARTNER, add, approve, job
from tests.registry_fixture import Site, approved, states

pytestmark = pytest.mark.anyio

T = TypeVar("T")


class HeldRecords(Records):
    """Records whose thread is held up right after a revision has begun to be published."""

    reached = threading.Event()
    go_on = threading.Event()

    async def ask(self, work: Callable[[RecordStore], T]) -> T:
        """Read or change records, and stop there."""

        def held(store: RecordStore) -> T:
            made = work(store)
            if isinstance(made, RevisionRecord) or made is None:
                page, _ = store.list(states=[State.PUBLISHING])
                if page and not self.go_on.is_set():
                    self.reached.set()
                    self.go_on.wait(20)
            return made

        return await super().ask(held)


@pytest.fixture
async def records(store_settings: StoreSettings, tmp_path: Path) -> AsyncIterator[HeldRecords]:
    """Give empty records, closed afterwards."""
    records = HeldRecords(store_settings, tmp_path)
    records.reached, records.go_on = threading.Event(), threading.Event()
    yield records
    records.go_on.set()
    await records.close()


async def refuse(record: RevisionRecord) -> None:
    """Let no revision be published."""
    raise RolloutError(f"no replica takes {record.name}")


def publisher(records: Records) -> Publisher:
    """Make what publishes for the expert `legal`, and never gets as far as a replica."""
    own = SimpleNamespace(live=None)
    live: Any = SimpleNamespace(folders=SimpleNamespace(experts={"legal": own}))
    none: Any = None
    mover = LabelMover(records, none, live, none, none, prepare_timeout_s=1, quorum=1)
    return Publisher(records, mover, refuse, owner="a", lease_s=60)


async def state(records: Records, name: str) -> State:
    """Give where a revision stands."""
    return (await records.ask(lambda store: store.need(name))).state


async def test_a_caller_that_leaves_while_it_is_recorded_leaves_nothing(
    records: HeldRecords,
) -> None:
    """The write has ended, or it was not made: the revision can be published again."""
    name = await records.ask(approve)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(publisher(records).publish(Publication(name=name), PARTNER))
        assert await asyncio.to_thread(records.reached.wait, 20)
        task.cancel("its deadline has passed")
        await anyio.lowlevel.checkpoint()
        task.cancel("it hung up as well")
        await anyio.lowlevel.checkpoint()
        records.go_on.set()
    assert task.cancelled()
    assert await state(records, name) is State.APPROVED
    assert await records.ask(lambda store: store.open_jobs()) == []
    changes = await records.ask(lambda store: store.changes(0, revision=name))
    assert [change.state for change in changes[-2:]] == [State.PUBLISHING, State.APPROVED]
    with pytest.raises(TameError, match="no replica takes"):
        await publisher(records).publish(Publication(name=name), PARTNER)


async def test_what_nobody_publishes_is_taken_back(records: HeldRecords) -> None:
    """With the reason in its history; what somebody publishes, or has published, stays."""
    records.go_on.set()
    feed = Feed(records, poll_s=1)
    leavings = Leavings(records, feed, every_s=60)
    left, going, live = [await records.ask(lambda s, i=i: approve(s, i)) for i in "abc"]  # type: ignore[misc]
    young = await records.ask(lambda store: add(store, "d"))
    for name in (left, going, live):
        await records.ask(lambda s, n=name: s.happen(n, Event.PUBLISH, PARTNER, "wanted"))  # type: ignore[misc]
    await records.ask(lambda s: s.publish(live, None, "", None, PARTNER, "ready"))
    await records.ask(lambda s: s.add_job(job("judge", left)))
    await records.ask(lambda s: s.add_job(job("old", left, kind=JobKind.PUBLISH)))
    await records.ask(lambda s: s.finish("old"))
    await records.ask(lambda s: s.add_job(job("publish", going, kind=JobKind.PUBLISH)))
    await leavings.look()
    assert [await state(records, name) for name in (left, going, live, young)] == [
        State.APPROVED,
        State.PUBLISHING,
        State.ACTIVE,
        State.VALIDATING,
    ]
    (*_, last) = await records.ask(lambda store: store.changes(0, revision=left))
    assert (last.before, last.because, last.actor) == (State.PUBLISHING, BECAUSE, ROUTER)
    before = await records.ask(lambda store: store.sequence())
    await leavings.look()
    assert await records.ask(lambda store: store.sequence()) == before


async def test_a_router_that_starts_takes_back_what_is_left(site: Site) -> None:
    """What an earlier version left is published as if nothing had been."""
    async with site.running() as client:
        name = await approved(client, site.adapter())
    records = Records(site.settings.store, site.settings.state_dir)
    await records.ask(lambda store: store.happen(name, Event.PUBLISH, PARTNER, "wanted"))
    await records.close()
    async with site.running() as client, asyncio.timeout(20):
        while await states(client, name) != [RevisionState.APPROVED]:
            pass
        assert (await client.adapters.publish(name)).label.live == name
