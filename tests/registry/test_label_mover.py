"""A label that has moved counts, and is told, whoever was there to see it."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio.lowlevel
import pytest

from tame_router.backends.fleet import Fleet
from tame_router.catalog.expert import Catalog
from tame_router.catalog.live import LiveCatalog
from tame_router.config import StoreSettings
from tame_router.registry.feed import Feed
from tame_router.registry.record import Label
from tame_router.registry.records.access import Records
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.rollout.label_mover import LabelMover
from tame_router.registry.rollout.labels import Labels
from tame_router.registry.state import Event
from tame_router.telemetry import log
from tests.registry.canary.test_witness import LEGAL
from tests.registry.known import FOLDER, PARTNER, approve

pytestmark = pytest.mark.anyio

T = TypeVar("T")


class HeldRecords(Records):
    """Records whose thread is held up right after a label has moved, and that is kept."""

    def __init__(self, settings: StoreSettings, state_dir: Path) -> None:
        super().__init__(settings, state_dir)
        self.reached, self.go_on = threading.Event(), threading.Event()

    async def ask(self, work: Callable[[RecordStore], T]) -> T:
        """Read or change records, and stop there."""

        def held(store: RecordStore) -> T:
            made = work(store)
            if isinstance(made, Label):
                self.reached.set()
                self.go_on.wait(20)
            return made

        return await super().ask(held)


@pytest.fixture
async def records(store_settings: StoreSettings, tmp_path: Path) -> AsyncIterator[HeldRecords]:
    """Give empty records, closed afterwards."""
    records = HeldRecords(store_settings, tmp_path)
    yield records
    records.go_on.set()
    await records.close()


def moves(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    """Give what the log says of moves: what, to which revision, and who."""
    lines: list[Any] = [line for line in caplog.records if line.message == "adapter.label"]
    return [(line.facts["action"], line.facts["live"], line.facts["tenant"]) for line in lines]


async def test_a_caller_that_leaves_while_the_label_moves_has_moved_it(
    records: HeldRecords, caplog: pytest.LogCaptureFixture
) -> None:
    """It counts here and is told before the caller is gone, however often that hangs up."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    name = await records.ask(approve)
    await records.ask(lambda store: store.happen(name, Event.PUBLISH, PARTNER, "wanted"))
    live = LiveCatalog(Catalog({"legal": LEGAL}))
    labels = Labels(records, live, Fleet({}), lambda _: None, refresh_s=60)
    none: Any = None
    mover = LabelMover(records, none, live, labels, none, prepare_timeout_s=1, quorum=1)
    feed = Feed(records, poll_s=60)
    records.changed = feed.tell
    seen = await records.ask(lambda store: store.sequence())

    def publish(store: RecordStore) -> Label:
        return store.publish(name, None, FOLDER, None, PARTNER, "ready")

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(anext(feed.changes(seen, None)))
        moving = group.create_task(mover.move(publish))
        assert await asyncio.to_thread(records.reached.wait, 20)
        for because in ("its deadline has passed", "it hung up as well"):
            moving.cancel(because)
            await anyio.lowlevel.checkpoint()
        records.go_on.set()
    assert moving.cancelled()
    assert watching.result()[1].name == name
    assert live.current.expert("legal").live_revision == name
    assert moves(caplog) == [("publish", name, "partner")]


async def test_a_move_is_told_once(records: HeldRecords, caplog: pytest.LogCaptureFixture) -> None:
    """A call that finds the label where it wants it has moved nothing, and tells of no move."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    records.go_on.set()
    name = await records.ask(approve)
    await records.ask(lambda store: store.happen(name, Event.PUBLISH, PARTNER, "wanted"))
    for _ in range(2):
        await records.ask(lambda s: s.publish(name, 0.1, FOLDER, None, PARTNER, "ready"))
    assert moves(caplog) == [("canary", FOLDER, "partner")]
