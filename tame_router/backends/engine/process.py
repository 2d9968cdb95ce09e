"""A local vLLM as a process: started, waited for, looked at, stopped.

What it is started with is decided in `engine_spec`; which process it is, in
`engine_state`. The engine outlives the program that started it; its state file is how the
next one finds it.
"""

import fcntl
import http.client
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tame_router.backends.engine.log import EngineLog
from tame_router.backends.engine.plugin import lay_out
from tame_router.backends.engine.spec import EngineSpec, arguments, check_spec, environment
from tame_router.backends.engine.state import (
    EngineState,
    alive,
    boot_id,
    collect,
    find_process,
    forget_state,
    members,
    read_state,
    write_state,
)
from tame_router.errors import BackendUnavailableError, ConfigError

POLL_S = 0.2
HEALTH_TIMEOUT_S = 2.0
STOP_GRACE_S = 15.0
KILL_WAIT_S = 5.0
COLLECT_S = 2.0

Progress = Callable[[float, str], None]
"""Called with the seconds since the wait began and what the engine does now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """How a local engine is.

    Attributes:
        phase: `stopped`: none was started; `starting`: its process runs and does not answer
            yet; `ready`: it answers; `died`: it ended by itself.
        state: What was started; None only when stopped.
    """

    phase: Literal["stopped", "starting", "ready", "died"]
    state: EngineState | None = None


def key_file(state_dir: Path) -> Path:
    """Tell where the engine's key lies."""
    return state_dir / "engine" / "api_key"


def ensure_key(state_dir: Path) -> str:
    """Give the engine's key; make one that only this user can read where there is none."""
    path = key_file(state_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        path.chmod(0o600)
        key = path.read_text(encoding="ascii").strip()
        if key:
            return key
        path.unlink()
    key = secrets.token_urlsafe(32)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key + "\n")
    return key


def launch(spec: EngineSpec) -> EngineState:
    """Start an engine and return at once, without waiting until it answers.

    Raises:
        ConfigError: When one runs already, the port is taken, or a file is missing.
    """
    check_spec(spec)
    with _only_one(spec.state_dir):
        running = read_state(spec.state_dir)
        if running is not None and members(running):
            raise ConfigError(
                f"a local engine runs already at {running.base_url} (process {running.pid});"
                " stop it with `tame engine stop`"
            )
        port = _free_port(spec.host, spec.port)
        argv = arguments(spec, port)
        pid = _spawn(spec, argv)
        entry = find_process(pid)
        state = EngineState(
            pid=pid,
            started_ticks=entry.started_ticks if entry else 0,
            boot_id=boot_id(),
            host=_reachable(spec.host),
            port=port,
            base_model=spec.base_model,
            served_name=spec.served_name,
            revisions=tuple(name for name, _ in spec.adapters),
            argv=argv,
            log_path=str(spec.log_path.absolute()),
        )
        write_state(spec.state_dir, state)
    return state


def wait_ready(state: EngineState, *, timeout_s: float, progress: Progress | None = None) -> None:
    """Wait until an engine answers.

    Args:
        state: What `launch` gave.
        timeout_s: Longest wait.
        progress: Told whenever the engine comes to its next step; may be called often.

    Raises:
        BackendUnavailableError: When it ends by itself, with what its log says about that, or
            when the time is over; it runs on then.
    """
    log = EngineLog(Path(state.log_path))
    started = time.monotonic()
    while True:
        if not alive(state):
            raise BackendUnavailableError(log.epitaph(collect(state, timeout_s=COLLECT_S)))
        if healthy(state):
            return
        waited = time.monotonic() - started
        stage = log.stage()
        if waited > timeout_s:
            raise BackendUnavailableError(
                f"the engine did not answer within {timeout_s:g} s; its last step: {stage};"
                f" its log is {log.path}; give it longer with engine.start_timeout_s"
            )
        if progress is not None:
            progress(waited, stage)
        time.sleep(POLL_S)


def healthy(state: EngineState) -> bool:
    """Ask an engine whether it would take a call now."""
    connection = http.client.HTTPConnection(state.host, state.port, timeout=HEALTH_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def read_status(state_dir: Path) -> EngineStatus:
    """Tell how the local engine is."""
    state = read_state(state_dir)
    if state is None:
        return EngineStatus(phase="stopped")
    if not alive(state):
        collect(state, timeout_s=COLLECT_S)
        return EngineStatus(phase="died", state=state)
    return EngineStatus(phase="ready" if healthy(state) else "starting", state=state)


def stop(state_dir: Path, *, grace_s: float = STOP_GRACE_S) -> bool:
    """Stop the local engine and everything it started; tell whether anything ran.

    Its process is asked first; what is left of its group after that is killed. A process
    that merely has the engine's old number is left alone.

    Args:
        state_dir: Folder that holds its state.
        grace_s: Time it gets to finish what it does.

    Raises:
        BackendUnavailableError: When processes outlive even that.
    """
    state = read_state(state_dir)
    if state is None:
        return False
    running = bool(members(state))
    if alive(state):
        with suppress(ProcessLookupError):
            os.kill(state.pid, signal.SIGTERM)
        _until(lambda: not alive(state), grace_s)
    if members(state):
        with suppress(ProcessLookupError):
            os.killpg(state.pid, signal.SIGKILL)
        _until(lambda: not alive(state) and not members(state), KILL_WAIT_S)
    collect(state, timeout_s=COLLECT_S)
    if left := members(state):
        raise BackendUnavailableError(
            f"processes {', '.join(map(str, left))} of the engine cannot be ended; look at them"
            " with ps, then run this again"
        )
    forget_state(state_dir)
    return running


def _spawn(spec: EngineSpec, argv: tuple[str, ...]) -> int:
    """Start a process that is the leader of a session of its own, and give its number."""
    variables = environment(spec, os.environ, ensure_key(spec.state_dir))
    if spec.adapter_store is not None:
        lay_out(spec.plugin)
    spec.log_path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    log = (os.POSIX_SPAWN_OPEN, 1, str(spec.log_path), flags, 0o644)
    try:
        # Not subprocess.Popen: nobody here owns the child for longer than this call.
        return os.posix_spawn(
            argv[0],
            argv,
            variables,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                log,
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
    except OSError as error:
        raise ConfigError(f"engine.python: {argv[0]} cannot be run: {error}") from error


def _free_port(host: str, port: int) -> int:
    """Give the port, or a free one for 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"engine.port: {host}:{port} cannot be listened on ({error.strerror}); stop what"
                " uses it, or set another port; 0 takes any free one"
            ) from error
        return int(probe.getsockname()[1])


def _reachable(host: str) -> str:
    """Give the address under which this machine reaches what listens on all addresses."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _until(condition: Callable[[], bool], timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end:
        time.sleep(POLL_S / 4)


@contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    """Let one start at a time look and act."""
    folder = state_dir / "engine"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
