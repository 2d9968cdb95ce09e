"""The local engine as a process: real processes, a small program in vLLM's place."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tame_router.backends.engine import process as engine
from tame_router.backends.engine.spec import EngineSpec
from tame_router.backends.engine.state import find_process, read_state, state_file, write_state
from tame_router.errors import BackendUnavailableError, ConfigError

PROGRAM = Path(__file__).parents[2] / "fakes" / "engine_program.py"
START_S = 30.0

MakeSpec = Callable[..., EngineSpec]


@pytest.fixture
def make_spec(tmp_path: Path) -> Iterator[MakeSpec]:
    """Give a maker of specifications whose engine is stopped after the test."""

    def make(behaviour: str = "serve", **values: Any) -> EngineSpec:
        report = str(tmp_path / "report.json")
        return EngineSpec(
            python=Path(sys.executable),
            base_model="someone/base",
            served_name="base",
            state_dir=tmp_path,
            log_path=tmp_path / "engine" / "engine.log",
            program=(str(PROGRAM),),
            extra_args=("--behaviour", behaviour, "--report", report),
            **values,
        )

    yield make
    engine.stop(tmp_path, grace_s=0)


def _report(spec: EngineSpec) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((spec.state_dir / "report.json").read_text("utf-8"))
    return document


def _gone(pid: int) -> bool:
    entry = find_process(pid)
    return entry is None or entry.dead


def test_an_engine_starts_answers_and_stops_with_its_children(make_spec: MakeSpec) -> None:
    """A start leads to ready, a stop to stopped, and no process of it is left."""
    spec = make_spec()
    state = engine.launch(spec)
    engine.wait_ready(state, timeout_s=START_S)
    status = engine.read_status(spec.state_dir)
    assert (status.phase, status.state) == ("ready", state)
    assert state.base_url == f"http://127.0.0.1:{state.port}/v1"
    child = _report(spec)["child"]
    assert engine.stop(spec.state_dir) is True
    assert find_process(state.pid) is None
    assert _gone(child)
    assert engine.read_status(spec.state_dir).phase == "stopped"
    assert engine.stop(spec.state_dir) is False


def test_an_engine_that_ignores_sigterm_is_killed(make_spec: MakeSpec) -> None:
    """After the grace period nothing of the group is left, however stubborn."""
    spec = make_spec("stubborn")
    state = engine.launch(spec)
    engine.wait_ready(state, timeout_s=START_S)
    assert engine.stop(spec.state_dir, grace_s=0.3) is True
    assert _gone(state.pid)
    assert _gone(_report(spec)["child"])


def test_children_of_an_engine_that_was_killed_are_stopped(make_spec: MakeSpec) -> None:
    """A leader that died leaves workers behind; a stop ends them."""
    spec = make_spec()
    state = engine.launch(spec)
    engine.wait_ready(state, timeout_s=START_S)
    os.kill(state.pid, signal.SIGKILL)
    with pytest.raises(BackendUnavailableError, match="killed"):
        engine.wait_ready(state, timeout_s=START_S)
    assert engine.read_status(spec.state_dir).phase == "died"
    child = _report(spec)["child"]
    assert not _gone(child)
    assert engine.stop(spec.state_dir) is True
    assert _gone(child)


def test_the_key_is_in_a_private_file_and_not_in_the_arguments(make_spec: MakeSpec) -> None:
    """The engine gets its key by the environment; no argument and no state file shows it."""
    spec = make_spec()
    state = engine.launch(spec)
    engine.wait_ready(state, timeout_s=START_S)
    file = engine.key_file(spec.state_dir)
    key = file.read_text("ascii").strip()
    report = _report(spec)
    assert report["key"] == key
    assert len(key) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in " ".join([*report["argv"], *state.argv])
    assert key not in state_file(spec.state_dir).read_text("utf-8")
    assert report["session"] == state.pid


def test_a_key_survives_a_restart_and_is_made_private_again(tmp_path: Path) -> None:
    """The key stays the same, and a file that others could read is closed to them."""
    key = engine.ensure_key(tmp_path)
    engine.key_file(tmp_path).chmod(0o644)
    assert engine.ensure_key(tmp_path) == key
    assert stat.S_IMODE(engine.key_file(tmp_path).stat().st_mode) == 0o600
    engine.key_file(tmp_path).write_text("", "ascii")
    assert engine.ensure_key(tmp_path) not in {"", key}


def test_an_engine_that_dies_fails_at_once_with_what_it_said(make_spec: MakeSpec) -> None:
    """The message holds the telling line, the exit code and the last step."""
    state = engine.launch(make_spec("die"))
    with pytest.raises(BackendUnavailableError) as caught:
        engine.wait_ready(state, timeout_s=START_S)
    assert "ValueError: rank 64 is too large" in caught.value.message
    assert "exit code 3" in caught.value.message
    assert "loading the base model" in caught.value.message
    assert "some line after it" not in caught.value.message


def test_an_engine_that_never_answers_is_given_up(make_spec: MakeSpec) -> None:
    """The time runs out with the setting to change, progress was told, and it can be stopped."""
    spec = make_spec("hang")
    state = engine.launch(spec)
    told: list[str] = []
    with pytest.raises(BackendUnavailableError, match=r"engine\.start_timeout_s"):
        engine.wait_ready(state, timeout_s=0.5, progress=lambda _, stage: told.append(stage))
    assert set(told) == {"importing vLLM"}
    assert engine.read_status(spec.state_dir).phase == "starting"
    assert engine.stop(spec.state_dir, grace_s=5) is True
    assert _gone(state.pid)


def test_a_second_engine_is_refused(make_spec: MakeSpec) -> None:
    """One state folder runs one engine."""
    spec = make_spec("hang")
    state = engine.launch(spec)
    with pytest.raises(ConfigError, match=f"runs already .*process {state.pid}"):
        engine.launch(spec)


def test_a_busy_port_is_refused(make_spec: MakeSpec) -> None:
    """A port that another program holds stops the start and is named."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"engine\.port: 127\.0\.0\.1:{port}"):
            engine.launch(make_spec(port=port))


def test_a_named_port_is_used(make_spec: MakeSpec) -> None:
    """An engine listens where the settings say."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    state = engine.launch(make_spec(port=port))
    assert state.port == port
    engine.wait_ready(state, timeout_s=START_S)


def test_a_program_that_has_the_engines_old_number_is_left_alone(make_spec: MakeSpec) -> None:
    """A state file whose number belongs to another program kills nothing."""
    spec = make_spec("hang")
    state = engine.launch(spec)
    engine.stop(spec.state_dir, grace_s=0)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        written = {name: getattr(state, name) for name in state.__slots__}
        stale = type(state)(**{**written, "pid": stranger.pid})
        write_state(spec.state_dir, stale)
        assert engine.read_status(spec.state_dir).phase == "died"
        assert engine.stop(spec.state_dir) is False
        assert stranger.poll() is None
        assert read_state(spec.state_dir) is None
        stranger.kill()


def test_an_interpreter_that_cannot_be_run_is_named(make_spec: MakeSpec, tmp_path: Path) -> None:
    """A file that is no program stops the start."""
    text = tmp_path / "python"
    text.write_text("no program", "utf-8")
    spec = make_spec()
    broken = EngineSpec(
        **{name: getattr(spec, name) for name in spec.__slots__ if name != "python"}, python=text
    )
    with pytest.raises(ConfigError, match=r"engine\.python: .* cannot be run"):
        engine.launch(broken)


@pytest.mark.parametrize(
    ("host", "reached"),
    [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.1")],  # noqa: S104  never listened on
)
def test_all_addresses_are_reached_by_loopback(
    make_spec: MakeSpec, host: str, reached: str
) -> None:
    """What listens everywhere is reached at the loopback address."""
    assert engine.launch(make_spec("hang", host=host)).host == reached
