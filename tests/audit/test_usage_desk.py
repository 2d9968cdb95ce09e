"""Where the running service looks usage and records up."""

import logging
from pathlib import Path

import pytest

from tame_router.audit.lookup import Wanted
from tame_router.audit.usage_desk import UsageDesk
from tame_router.config import Settings
from tame_router.errors import StoreUnavailableError
from tame_router.store import FILE
from tame_router.telemetry import log
from tests.audit.recorded import NOON, fill, kept

pytestmark = pytest.mark.anyio


async def test_usage_and_records_are_looked_up(tmp_path: Path) -> None:
    """From one store, opened by the first who asks."""
    desk = UsageDesk(Settings(state_dir=tmp_path))
    assert not (tmp_path / FILE).exists()
    with kept(tmp_path) as database:
        fill(database, 3)
    [usage] = await desk.usage("hospital", NOON.date(), NOON.date())
    assert usage.requests == 3
    first = await desk.records(Wanted(tenant="hospital"), None, 2)
    rest = await desk.records(Wanted(tenant="hospital"), first[-1].place, 2)
    assert [len(first), len(rest)] == [2, 1]
    await desk.close()


async def test_what_a_broken_store_says_is_for_the_operator(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Callers learn that it is broken, and when to come back."""
    caplog.set_level(logging.ERROR, log.LOGGER.name)
    (tmp_path / FILE).mkdir()
    desk = UsageDesk(Settings(state_dir=tmp_path))
    with pytest.raises(StoreUnavailableError) as caught:
        await desk.records(Wanted(), None, 1)
    assert "in the log" in caught.value.message
    assert FILE not in caught.value.message
    assert caught.value.retry_after_s == 1
    assert [record.message for record in caplog.records] == ["store.failed"]
    await desk.close()
