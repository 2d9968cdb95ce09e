"""The service's way to the store: late, aside, and clear when it fails."""

import logging
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

from tame_router.config import StoreSettings
from tame_router.errors import ConfigError, StoreUnavailableError
from tame_router.feedback.intake import Intake
from tame_router.store import FILE
from tame_router.telemetry import log
from tests.feedback.given import kept, said

pytestmark = pytest.mark.anyio


async def test_nothing_is_made_before_the_first_feedback(tmp_path: Path) -> None:
    """An intake that gets none leaves no file, and can be closed."""
    intake = Intake(StoreSettings(), tmp_path)
    await intake.close()
    assert not (tmp_path / FILE).exists()


def test_the_library_is_not_loaded_before_the_first_feedback() -> None:
    """A service without feedback starts without SQLAlchemy."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom tame_router.config import StoreSettings\n"
        "from tame_router.feedback.intake import Intake\n"
        "Intake(StoreSettings(), Path('nowhere'))\nprint('sqlalchemy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"


async def test_many_at_once_are_all_kept(tmp_path: Path) -> None:
    """Callers do not wait for each other on the event loop, and nobody's word is lost."""
    intake = Intake(StoreSettings(), tmp_path)
    async with anyio.create_task_group() as group:
        for number in range(16):
            group.start_soon(intake.add, said(feedback_id=f"{number:02}"))
    await intake.close()
    with kept(tmp_path) as store:
        assert [f.feedback_id for f in store.pending()] == [f"{number:02}" for number in range(16)]


async def test_a_store_that_comes_back_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While it fails callers get no path, the log gets the reason; afterwards all is well."""
    caplog.set_level(logging.ERROR, log.LOGGER.name)
    (tmp_path / FILE).mkdir()
    intake = Intake(StoreSettings(), tmp_path)
    with pytest.raises(StoreUnavailableError) as caught:
        await intake.add(said(question="祕密"))
    assert str(tmp_path) not in caught.value.message
    assert caught.value.retry_after_s == 1
    (record,) = (record for record in caplog.records if record.message == "store.failed")
    assert "unable to open" in record.facts["because"]  # type: ignore[attr-defined]
    assert "祕密" not in str(vars(record))
    (tmp_path / FILE).rmdir()
    assert await intake.add(said()) == said()
    await intake.close()


async def test_an_address_that_was_set_is_tried_at_the_start(tmp_path: Path) -> None:
    """A wrong one stops it; a right one is used."""
    with pytest.raises(ConfigError, match=r"store\.url"):
        Intake(StoreSettings(url=SecretStr("nonsense")), tmp_path)
    file = tmp_path / "own" / "feedback.db"
    intake = Intake(StoreSettings(url=SecretStr(f"sqlite:///{file}")), tmp_path / "state")
    await intake.add(said())
    await intake.close()
    assert file.is_file()
