"""Changes of state as somebody who watches learns of them."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tame_router.config import StoreSettings
from tame_router.registry.feed import Feed
from tame_router.registry.records.access import Records
from tame_router.registry.registry import Registry
from tame_router.registry.state import Event, State
from tests.registry.known import PARTNER, add, approve

pytestmark = pytest.mark.anyio


@pytest.fixture
async def records(store_settings: StoreSettings, tmp_path: Path) -> AsyncIterator[Records]:
    """Give empty records, closed afterwards."""
    records = Records(store_settings, tmp_path)
    yield records
    await records.close()


def registry(records: Records) -> Registry:
    """Make a registry of which only changes are asked."""
    feed = Feed(records, poll_s=0.01)
    none: Any = None
    return Registry(records, none, none, none, none, feed, none, none, none, none)


async def test_who_watches_a_revision_first_learns_where_it_stands(records: Records) -> None:
    """However late the watching begins; what happens next follows, and nothing of others."""
    name = await records.ask(approve)
    await records.ask(lambda store: add(store, "b"))
    async with registry(records).watching(name, None, None) as changes:
        change, record = await anext(changes)
        assert (change.revision, change.state, record.state) == (
            name,
            State.APPROVED,
            State.APPROVED,
        )
        await records.ask(lambda store: store.happen(name, Event.PUBLISH, PARTNER, "wanted"))
        change, _ = await anext(changes)
        assert (change.revision, change.state) == (name, State.PUBLISHING)


async def test_who_watches_all_learns_what_is_new(records: Records) -> None:
    """Where no revision is named, nothing that was there before comes."""
    await records.ask(approve)
    async with registry(records).watching("", None, None) as changes:
        name = await records.ask(lambda store: add(store, "b"))
        change, _ = await anext(changes)
        assert (change.revision, change.state) == (name, State.VALIDATING)


class Counted(Records):
    """Records that count how often they are asked."""

    asked = 0

    async def ask(self, work: Any) -> Any:
        """Count, and ask."""
        self.asked += 1
        return await super().ask(work)


async def test_many_who_watch_ask_as_one(store_settings: StoreSettings, tmp_path: Path) -> None:
    """While nothing happens the records are asked now and then, not by each; then all learn."""
    records = Counted(store_settings, tmp_path)
    names = [await records.ask(lambda s, seed=seed: add(s, seed)) for seed in "ab"]
    watchers, poll_s, polls = 20, 0.05, 5
    feed = Feed(records, poll_s=poll_s)
    begin = await feed.start("")
    learnt: list[str] = []

    async def watch(name: str) -> None:
        async with aclosing(feed.changes(begin, None, name)) as changes:
            learnt.append((await anext(changes))[0].revision)

    async with anyio.create_task_group() as group:
        for number in range(watchers):
            group.start_soon(watch, names[number % 2])
        since, asked = anyio.current_time(), records.asked
        while records.asked < asked + polls:
            await anyio.lowlevel.checkpoint()
        # The first question is asked at once. Were each to ask, one poll would see them all.
        assert anyio.current_time() - since >= (polls - 2) * poll_s
        for name in names:
            await records.ask(lambda s, name=name: s.happen(name, Event.VALIDATED, PARTNER, ""))
    assert sorted(learnt) == sorted(names * (watchers // 2))
    await records.close()


async def test_who_watches_is_let_go_when_the_router_stops(records: Records) -> None:
    """Whether it waits already, or comes later; what it was told stays told."""
    name = await records.ask(approve)
    served = registry(records)
    async with served.watching(name, None, None) as changes:
        await anext(changes)
        served.end_watching()
        assert [change async for change in changes] == []
    async with served.watching(name, None, None) as changes:
        assert [change async for change in changes] == []
