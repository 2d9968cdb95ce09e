"""The journal of a running router: in order, bounded, closed when the store fails, kill -9."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tame_router.audit.archive import Archive
from tame_router.audit.building import build_journal
from tame_router.audit.lookup import Wanted
from tame_router.audit.store import AuditStore
from tame_router.audit.writer import Writer
from tame_router.config import Settings
from tame_router.config_access import AuditSettings
from tame_router.errors import AuditUnavailableError, StoreUnavailableError
from tame_router.store import FILE
from tame_router.telemetry import log
from tests.audit.recorded import answered, kept, said, verified

PROGRAM = """
import sys, time
from pathlib import Path
from tame_router.audit.building import build_journal
from tame_router.config import Settings
from tests.audit.recorded import answered
journal = build_journal(Settings(state_dir=Path(sys.argv[1])))
number = 0
while True:
    number += 1
    journal.record(answered(number))
    sys.stdout.write(f"{number} {time.time()}\\n")
    sys.stdout.flush()
    time.sleep(0.002)
"""
STATED_S = 1.0
"""What a kill may take, at the most: the records of this long."""


def _ids(folder: Path) -> list[str]:
    with kept(folder) as database:
        assert verified(database) == []
        return [json.loads(found.line)["answer_id"] for found in Archive(database).find(Wanted())]


def test_nothing_is_opened_before_the_first_record(tmp_path: Path) -> None:
    """A router that answers nothing leaves no file, and can be closed."""
    journal = build_journal(Settings(state_dir=tmp_path))
    journal.require_room()
    journal.close()
    assert not (tmp_path / FILE).exists()


def test_close_writes_what_waits_in_order(tmp_path: Path) -> None:
    """More than one commit's worth, then the closing record."""
    journal = build_journal(Settings(state_dir=tmp_path))
    for number in range(1_234):
        journal.record(answered(number), said() if number == 7 else None)
    journal.close()
    assert journal.waiting == 0
    assert _ids(tmp_path) == [f"answer-{number:06}" for number in range(1_234)]
    with kept(tmp_path) as database:
        lines = list(Archive(database).lines())
    assert json.loads(lines[-2])["kind"] == "close"


def test_a_store_that_fails_closes_the_door_and_recovers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is lost meanwhile, and the log says it once."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    broken, tried = threading.Event(), threading.Semaphore(0)
    broken.set()
    with kept(tmp_path) as database:

        def open_store() -> AuditStore:
            tried.release()
            if broken.is_set():
                raise StoreUnavailableError("gone for now")
            return AuditStore(database)

        journal = Writer(open_store, AuditSettings(flush_s=0.01, queue_records=3))
        for number in range(3):
            journal.require_room()
            journal.record(answered(number))
        for _ in range(2):
            assert tried.acquire(timeout=10)
        with pytest.raises(AuditUnavailableError) as caught:
            journal.require_room()
        assert caught.value.retry_after_s == 1
        journal.record(answered(3))  # its answer had begun before
        broken.clear()
        assert tried.acquire(timeout=10)
        journal.close()
        journal.require_room()
    assert len(_ids(tmp_path)) == 4
    assert [record.message for record in caplog.records] == ["audit.failed", "audit.recovered"]


def test_a_close_that_cannot_write_says_what_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A router stops even where its database does not come back."""
    monkeypatch.setattr("tame_router.audit.writer.CLOSE_S", 0)
    (tmp_path / FILE).mkdir()
    journal = build_journal(Settings(state_dir=tmp_path))
    journal.record(answered())
    journal.close()
    assert journal.waiting == 1
    assert [record.message for record in caplog.records] == ["audit.failed", "audit.lost"]


def test_a_kill_takes_less_than_a_second_of_records(tmp_path: Path) -> None:
    """After SIGKILL the chain verifies, without gaps, up to the stated second before."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    taken: dict[int, float] = {}
    with process:
        look_at = time.monotonic() + 2
        for line in process.stdout:
            number, at = line.split()
            taken[int(number)] = float(at)
            if time.monotonic() < look_at:
                continue
            look_at = time.monotonic() + 0.5
            if len(_ids(tmp_path)) > 100:
                process.send_signal(signal.SIGKILL)
                killed_at = time.time()
                break
        for line in process.stdout:
            if line.endswith("\n"):
                taken[int(line.split()[0])] = float(line.split()[1])
    ids = _ids(tmp_path)
    assert ids == [f"answer-{number:06}" for number in range(1, len(ids) + 1)]
    lost = [at for number, at in taken.items() if number > len(ids)]
    assert len(ids) > 100
    assert all(killed_at - at < STATED_S for at in lost)
