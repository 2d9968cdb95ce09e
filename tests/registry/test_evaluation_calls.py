"""An evaluation that is asked for: once by each call, whatever comes of it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tame_router.config import StoreSettings
from tame_router.registry.feed import Feed
from tame_router.registry.jobs.worker import Worker
from tame_router.registry.record import ROUTER
from tame_router.registry.records.access import Records
from tame_router.registry.registry import Registry
from tame_router.registry.state import Event, State
from tests.registry.known import PARTNER, approve

pytestmark = pytest.mark.anyio


@pytest.fixture
async def records(store_settings: StoreSettings, tmp_path: Path) -> AsyncIterator[Records]:
    """Give empty records, closed afterwards."""
    records = Records(store_settings, tmp_path)
    yield records
    await records.close()


def registry(records: Records) -> Registry:
    """Make a registry whose jobs nobody does."""
    worker = Worker(records, {}, None, owner="a", lease_s=1, poll_s=1)  # type: ignore[arg-type]
    feed = Feed(records, poll_s=1)
    none: Any = None
    return Registry(records, none, none, none, none, feed, (worker,), none, none, none)


async def test_the_same_call_is_done_once_also_when_it_ended_in_a_refusal(
    records: Records,
) -> None:
    """Sent again it finds what it has begun; another call begins anew, with validation."""
    name = await records.ask(approve)
    asked = registry(records)
    assert (await asked.evaluate(name, "call-one", PARTNER)).state is State.EVALUATING
    await records.ask(lambda store: store.happen(name, Event.FAILED, ROUTER, "too slow"))
    assert (await asked.evaluate(name, "call-one", PARTNER)).state is State.REJECTED
    assert (await asked.evaluate(name, "call-two", PARTNER)).state is State.VALIDATING
