"""`tame engine`, with a small program in vLLM's place."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tame_router.backends.engine import process as engine
from tame_router.config import Settings
from tests.cli.conftest import Tame
from tests.cli.terminal import Terminal
from tests.fakes import engine_program

Configure = Callable[[str], str]
"""Writes a configuration whose engine behaves so, and gives its path."""


@pytest.fixture
def configure(settings: Settings, tmp_path: Path) -> Iterator[Configure]:
    """Give a maker of configurations; what was started is stopped after the test."""
    python = tmp_path / "python"
    program = Path(engine_program.__file__)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
    python.chmod(0o755)
    state = tmp_path / "state"

    def write(behaviour: str) -> str:
        values = settings.model_dump(mode="json")
        extra = ["--behaviour", behaviour, "--report", str(tmp_path / "report.json")]
        values["state_dir"] = str(state)
        values["engine"] |= {
            "python": str(python),
            "base_model": "someone/base",
            "port": 0,
            "start_timeout_s": 60,
            "extra_args": extra,
        }
        file = tmp_path / "engine.yaml"
        file.write_text(yaml.safe_dump(values))
        return str(file)

    yield write
    engine.stop(state, grace_s=0)


def test_no_engine_is_a_state_of_its_own(tame: Tame) -> None:
    """Status says so in both forms and exits with 1; stopping nothing is no failure."""
    assert tame("engine", "status").out.split() == ["phase", "stopped"]
    machine = tame("engine", "status", "--json")
    assert (machine.code, json.loads(machine.out)) == (1, {"phase": "stopped"})
    stopped = tame("engine", "stop")
    assert (stopped.code, stopped.out) == (0, "no engine was running\n")


def test_an_engine_is_started_looked_at_and_stopped(tame: Tame, configure: Configure) -> None:
    """It runs on after the command, with the arguments that were given; a second is refused."""
    config = ("--config", configure("serve"))
    started = tame("engine", "start", "--base-model", "someone/other", *config)
    assert started.code == 0, started.err
    assert started.out.startswith("engine ready at http://127.0.0.1:")
    status = tame("engine", "status", "--json", *config)
    facts = json.loads(status.out)
    assert (status.code, facts["phase"], facts["base_model"]) == (0, "ready", "other")
    assert facts["base_url"] in started.out
    shown = tame("engine", "status", *config).out
    assert f"base_url    {facts['base_url']}" in shown
    again = tame("engine", "start", *config)
    assert again.code == 3
    assert "runs already" in again.err
    assert tame("engine", "stop", *config).out == "engine stopped\n"
    assert tame("engine", "status", *config).code == 1


def test_an_engine_that_dies_is_told(tame: Tame, configure: Configure) -> None:
    """The exit is 1, with what its log says."""
    result = tame("engine", "start", "--config", configure("die"))
    assert (result.code, result.out) == (1, "")
    assert "tame: BACKEND_UNAVAILABLE: " in result.err
    assert "rank 64 is too large" in result.err


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_is_shown_while_it_starts(
    tame: Tame, configure: Configure, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    """On a terminal one line is rewritten; in a pipe each step has its line."""
    if terminal:
        monkeypatch.setattr(sys, "stderr", stderr := Terminal())
    result = tame("engine", "start", "--config", configure("serve"))
    assert result.code == 0
    told = stderr.getvalue() if terminal else result.err
    assert "engine: " in told
    assert told.startswith("\r\x1b[2K") is terminal
    assert told.endswith("\r\x1b[2K") is terminal
