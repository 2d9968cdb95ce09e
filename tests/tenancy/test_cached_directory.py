"""The directory answers from memory, sees changes soon, and refuses to go by what is too old."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tame_router.config import StoreSettings
from tame_router.config_access import TenantSettings
from tame_router.errors import StoreUnavailableError
from tame_router.store import Database
from tame_router.telemetry import log
from tame_router.tenancy.cached_directory import CachedDirectory
from tame_router.tenancy.snapshot import Snapshot
from tame_router.tenancy.store import TenantStore
from tests.tenancy.known import FACTORY, HOSPITAL

NEVER = TenantSettings(refresh_s=3600, stale_s=3600)
OFTEN = TenantSettings(refresh_s=0.005, stale_s=3600)
WAIT_S = 10


class Switch:
    """A source before a store, which can be broken, and tells when it was read.

    Args:
        store: What is behind it.
    """

    def __init__(self, store: TenantStore) -> None:
        self._store = store
        self.error: Exception | None = None
        self.asked = threading.Event()
        self.whole_reads = 0

    def generation(self) -> int:
        """Read the generation, or fail."""
        self.asked.set()
        if self.error:
            raise self.error
        return self._store.generation()

    def snapshot(self) -> Snapshot:
        """Read everything."""
        self.whole_reads += 1
        return self._store.snapshot()

    def wait_asked(self, times: int = 2) -> None:
        """Wait until it was asked anew so many times: the one before the last has ended then."""
        for _ in range(times):
            self.asked.clear()
            assert self.asked.wait(WAIT_S)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TenantStore]:
    """Give a store that knows the hospital."""
    database = Database(StoreSettings(), tmp_path)
    store = TenantStore(database)
    store.create(HOSPITAL)
    yield store
    database.close()


@contextmanager
def opened(source: Switch, settings: TenantSettings) -> Iterator[CachedDirectory]:
    """Open a directory."""
    directory = CachedDirectory(source, settings)
    try:
        yield directory
    finally:
        directory.close()


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give the events that were logged."""
    return [record.getMessage() for record in caplog.records if record.name == log.LOGGER.name]


def happens(condition: Callable[[], bool], source: Switch) -> bool:
    """Tell whether something becomes true while the source is asked again and again."""
    for _ in range(1000):
        if condition():
            return True
        source.wait_asked(1)
    return False


def test_a_change_is_seen_by_itself(store: TenantStore) -> None:
    """Another process's change is there after the next look, and only changes are read whole."""
    source = Switch(store)
    with opened(source, OFTEN) as directory:
        assert set(directory.snapshot().tenants) == {"hospital"}
        source.wait_asked()
        assert source.whole_reads == 1
        store.create(FACTORY)
        source.wait_asked()
        assert directory.snapshot() == store.snapshot()
        assert source.whole_reads == 2


def test_a_change_of_ones_own_is_seen_at_once(store: TenantStore) -> None:
    """After `refresh` it is there, whenever the next look is due."""
    with opened(Switch(store), NEVER) as directory:
        before = directory.snapshot()
        store.create(FACTORY)
        assert directory.snapshot() is before
        directory.refresh()
        assert set(directory.snapshot().tenants) == {"factory", "hospital"}


def test_a_store_that_cannot_be_read_lets_nobody_in_after_a_while(
    store: TenantStore, caplog: pytest.LogCaptureFixture
) -> None:
    """What is known holds for a while, then nothing does; both are told once; it recovers."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    source = Switch(store)
    with opened(source, TenantSettings(refresh_s=0.005, stale_s=0.2)) as directory:
        source.error = StoreUnavailableError("the store cannot be used now: gone")
        source.wait_asked()
        assert "tenants.unread" in events(caplog)
        assert happens(lambda: "tenants.stale" in events(caplog), source)
        for _ in range(3):
            with pytest.raises(StoreUnavailableError, match="cannot be looked up now") as caught:
                directory.snapshot()
        assert caught.value.retry_after_s == 0.005
        source.wait_asked()
        source.error = None
        assert happens(lambda: "tenants.refreshed" in events(caplog), source)
        assert set(directory.snapshot().tenants) == {"hospital"}
    told = events(caplog)
    assert told == ["tenants.unread", "tenants.stale", "tenants.refreshed"]


def test_a_reader_that_hangs_does_not_keep_old_knowledge_alive(
    store: TenantStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Age is measured when it is asked, not by the thread that may wait for the store."""
    with opened(Switch(store), TenantSettings(refresh_s=3600, stale_s=1e-9)) as directory:
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                directory.snapshot()
    assert events(caplog) == ["tenants.stale"]


def test_what_nobody_expected_does_not_end_the_reading(
    store: TenantStore, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its traceback, and the next look is taken."""
    source = Switch(store)
    with opened(source, OFTEN) as directory:
        source.error = ZeroDivisionError("a fault")
        source.wait_asked()
        source.error = None
        store.create(FACTORY)
        assert happens(lambda: "factory" in directory.snapshot().tenants, source)
    assert set(events(caplog)) == {"tenants.crashed"}


def test_nothing_to_read_at_the_start_is_an_error(tmp_path: Path) -> None:
    """There is no directory without a store that can be read."""
    (tmp_path / "tame.db").mkdir()
    database = Database(StoreSettings(), tmp_path)
    with pytest.raises(StoreUnavailableError):
        CachedDirectory(TenantStore(database), NEVER)
    database.close()
