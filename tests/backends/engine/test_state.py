"""Which local engine runs."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tame_router.backends.engine import state as engine_state
from tame_router.backends.engine.state import EngineState


def _state(pid: int, started_ticks: int) -> EngineState:
    return EngineState(
        pid=pid,
        started_ticks=started_ticks,
        boot_id=engine_state.boot_id(),
        host="127.0.0.1",
        port=8100,
        base_model="b",
        served_name="b",
        revisions=("legal--0123456789abcdef",),
        argv=("python",),
        log_path="log",
    )


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Writing and reading gives an equal value, and forgetting gives none."""
    (tmp_path / "engine").mkdir()
    state = _state(1, 2)
    engine_state.write_state(tmp_path, state)
    assert engine_state.read_state(tmp_path) == state
    engine_state.forget_state(tmp_path)
    assert engine_state.read_state(tmp_path) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"revisions": [], "argv": [], "x": 1}'])
def test_a_damaged_state_is_none(tmp_path: Path, content: str) -> None:
    """What cannot be read counts as no engine."""
    (tmp_path / "engine").mkdir()
    engine_state.state_file(tmp_path).write_text(content, "utf-8")
    assert engine_state.read_state(tmp_path) is None


def test_a_process_is_told_by_its_start_and_its_boot() -> None:
    """The same number with another start time, or of another boot, is another process."""
    entry = engine_state.find_process(os.getpid())
    assert entry is not None
    ours = _state(os.getpid(), entry.started_ticks)
    assert engine_state.alive(ours)
    assert not engine_state.alive(replace(ours, started_ticks=entry.started_ticks - 1))
    assert not engine_state.alive(replace(ours, boot_id="another"))
    assert engine_state.members(replace(ours, boot_id="another")) == []


def test_a_running_process_is_not_collected() -> None:
    """Only an ended child has an exit code."""
    entry = engine_state.find_process(os.getpid())
    assert entry is not None
    assert engine_state.collect(_state(os.getpid(), entry.started_ticks), timeout_s=0) is None


def test_a_process_that_is_gone_is_not_found() -> None:
    """A collected child is nowhere."""
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert engine_state.find_process(child.pid) is None
