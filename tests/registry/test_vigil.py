"""Signatures that count no more: told of where they answer, and not gone back to."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tame_router.config import StoreSettings
from tame_router.errors import ConfigError
from tame_router.errors_registry import RevisionRefusedError, StorageUnavailableError
from tame_router.registry.advice import found
from tame_router.registry.observer import Unobserved
from tame_router.registry.reason import Reason
from tame_router.registry.record import RevisionRecord
from tame_router.registry.records.access import Records
from tame_router.registry.signing import vigil as vigil_module
from tame_router.registry.signing.signature import Verdict
from tame_router.registry.signing.vigil import Vigil
from tame_router.telemetry import log
from tests.registry.known import FOLDER, add

pytestmark = pytest.mark.anyio

COUNTS = Verdict(signer="acme")
REFUSED = Verdict(findings=(found(Reason.SIGNER_UNKNOWN, "it is signed by somebody else"),))


class Signatures:
    """Says of all signatures what it is told to.

    Attributes:
        says: A verdict, or what is raised; None: it never answers.
        asked: Names that were asked for.
    """

    def __init__(self) -> None:
        self.says: Verdict | Exception | None = COUNTS
        self.asked: list[str] = []

    async def look(self, record: RevisionRecord) -> Verdict:
        """Say it."""
        self.asked.append(record.name)
        if self.says is None:
            await asyncio.Event().wait()
        if isinstance(self.says, Exception):
            raise self.says
        assert self.says is not None
        return self.says


class Counts(Unobserved):
    """Keeps how many were said to count no more."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def adapters_untrusted(self, count: int) -> None:
        """Keep it."""
        self.told.append(count)


@pytest.fixture
async def records(store_settings: StoreSettings, tmp_path: Path) -> AsyncIterator[Records]:
    """Give empty records, closed afterwards."""
    records = Records(store_settings, tmp_path)
    yield records
    await records.close()


async def record_of(records: Records) -> RevisionRecord:
    """Add a revision, and give its record."""
    name = await records.ask(add)
    record = await records.ask(lambda store: store.get(name))
    assert record is not None
    return record


async def test_what_answers_unsigned_is_told_of_once(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    """Each time it becomes so, and counted while it is; a storage that is away changes nothing."""
    caplog.set_level(logging.ERROR, log.LOGGER.name)
    name = (await record_of(records)).name
    signatures, counts = Signatures(), Counts()
    vigil = Vigil(records, signatures, lambda: {name, FOLDER}, counts)
    for says in (COUNTS, REFUSED, REFUSED, StorageUnavailableError("away"), COUNTS, REFUSED):
        signatures.says = says
        await vigil.look()
    assert counts.told == [0, 1, 1, 1, 0, 1]
    alarms = [vars(one)["facts"] for one in caplog.records if one.message == "adapter.untrusted"]
    assert [alarm["revision"] for alarm in alarms] == [name, name]
    assert alarms[0]["because"] == "it is signed by somebody else"
    assert set(signatures.asked) == {name}  # what lies in an expert's folder is not asked for


async def test_where_nothing_answers_nothing_is_asked(records: Records, tmp_path: Path) -> None:
    """A router without adapters makes no database for this."""
    await Vigil(records, Signatures(), set).look()
    assert not (tmp_path / "tame.db").exists()


@pytest.mark.parametrize("says", [REFUSED, ConfigError("the key /etc/acme.pub is gone")])
async def test_what_counts_no_more_is_not_gone_back_to(
    records: Records, says: Verdict | Exception
) -> None:
    """The reason is told, and no path of the router's."""
    signatures = Signatures()
    signatures.says = says
    vigil = Vigil(records, signatures, set)
    with pytest.raises(RevisionRefusedError, match="is not gone back to") as caught:
        await vigil.glance(await record_of(records))
    assert "/etc" not in caught.value.message


@pytest.mark.parametrize("says", [COUNTS, StorageUnavailableError("away"), None])
async def test_a_storage_that_is_away_keeps_nobody_from_going_back(
    records: Records, monkeypatch: pytest.MonkeyPatch, says: Verdict | Exception | None
) -> None:
    """Nor does one that never answers: the signature counted when it was published."""
    monkeypatch.setattr(vigil_module, "GLANCE_S", 0.01)
    signatures = Signatures()
    signatures.says = says
    await Vigil(records, signatures, set).glance(await record_of(records))
