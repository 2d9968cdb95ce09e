"""Changes of state as somebody who watches learns of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

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
