"""The office opens the store when it is asked, and shows what it changed at once."""

from pathlib import Path

import pytest

from tame_router.config import StoreSettings
from tame_router.config_access import TenantSettings
from tame_router.errors import StoreUnavailableError
from tame_router.store import FILE
from tame_router.tenancy.office import Office
from tests.tenancy.known import FACTORY

pytestmark = pytest.mark.anyio

NEVER = TenantSettings(refresh_s=3600, stale_s=3600)


async def test_nothing_is_opened_before_it_is_needed(tmp_path: Path) -> None:
    """An office that nobody asks makes no file."""
    office = Office(StoreSettings(), tmp_path, tuple)
    await office.close()
    assert not (tmp_path / FILE).exists()


async def test_a_change_is_in_the_directory_when_it_is_done(tmp_path: Path) -> None:
    """Whoever changed something need not wait for the next look."""
    office = Office(StoreSettings(), tmp_path, lambda: ("manufacturing",))
    directory = await office.open_directory(NEVER)
    await office.ask("somebody", lambda a: a.create(FACTORY))
    assert directory.snapshot().tenants == {"factory": FACTORY}
    await office.close()


async def test_a_store_that_cannot_be_used_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller learns no path; the log has it; a directory is not opened at all."""
    (tmp_path / FILE).mkdir()
    office = Office(StoreSettings(), tmp_path, lambda: ("manufacturing",))
    with pytest.raises(StoreUnavailableError):
        await office.open_directory(NEVER)
    with pytest.raises(StoreUnavailableError, match="read or changed now") as caught:
        await office.ask("somebody", lambda a: a.snapshot())
    assert str(tmp_path) not in caught.value.message
    assert [record.getMessage() for record in caplog.records] == ["store.failed"]
    (tmp_path / FILE).rmdir()
    assert await office.ask("somebody", lambda a: a.create(FACTORY)) == FACTORY
    await office.close()


async def test_a_change_that_cannot_be_shown_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It was made: nobody is told that it failed; the log says that it is seen later."""
    office = Office(StoreSettings(), tmp_path, lambda: ("manufacturing",))
    directory = await office.open_directory(NEVER)

    def fail() -> int:
        raise StoreUnavailableError("the store cannot be used now: gone")

    directory._source.generation = fail  # type: ignore[method-assign]
    assert await office.ask("somebody", lambda a: a.create(FACTORY)) == FACTORY
    assert directory.snapshot().tenants == {}
    assert [record.getMessage() for record in caplog.records] == ["tenants.unread"]
    await office.close()
