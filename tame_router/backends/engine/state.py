"""Which local engine runs: its state file, and whether that process is still the same one.

A process is told by its number, its start time and the boot it belongs to, so that a
number that the system gave to another program is never taken for the engine. Linux only,
as vLLM is.
"""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """An engine that was started.

    Attributes:
        pid: Its process number, which is its process group's too.
        started_ticks: Start time of the process, in clock ticks since the boot.
        boot_id: Random name of that boot.
        host: Address that reaches it.
        port: Port it listens on.
        base_model: Folder or hub name of its base model.
        served_name: Name that callers use for it.
        revisions: Names of the adapter revisions it was started with.
        argv: Its command line; holds no secret.
        log_path: File that gets what it says.
    """

    pid: int
    started_ticks: int
    boot_id: str
    host: str
    port: int
    base_model: str
    served_name: str
    revisions: tuple[str, ...]
    argv: tuple[str, ...]
    log_path: str

    @property
    def base_url(self) -> str:
        """Address of its OpenAI API."""
        return f"http://{self.host}:{self.port}/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEntry:
    """What the system says about a process.

    Attributes:
        pid: Its number.
        group: Its process group.
        started_ticks: Its start time, in clock ticks since the boot.
        parent: Number of the process that started it, or that took it over.
        dead: It has ended and waits to be collected by its parent.
    """

    pid: int
    parent: int
    group: int
    started_ticks: int
    dead: bool


def state_file(state_dir: Path) -> Path:
    """Tell where the state lies."""
    return state_dir / "engine" / "engine.json"


def write_state(state_dir: Path, state: EngineState) -> None:
    """Write the state, whole or not at all."""
    path = state_file(state_dir)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def read_state(state_dir: Path) -> EngineState | None:
    """Read the state; None where there is none, or none that can be read."""
    try:
        values = json.loads(state_file(state_dir).read_text(encoding="utf-8"))
        return EngineState(
            **{**values, "revisions": tuple(values["revisions"]), "argv": tuple(values["argv"])}
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def forget_state(state_dir: Path) -> None:
    """Remove the state file."""
    state_file(state_dir).unlink(missing_ok=True)


def boot_id() -> str:
    """Name the boot this machine is in."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def find_process(pid: int) -> ProcessEntry | None:
    """Ask the system about a process; None where there is none.

    Source: proc_pid_stat(5), fields 3, 4, 5 and 22.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in parentheses and may hold any character.
    fields: list[str] = stat.rpartition(")")[2].split()
    return ProcessEntry(
        pid=pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        started_ticks=int(fields[19]),
        dead=fields[0] in "ZX",
    )


def alive(state: EngineState) -> bool:
    """Tell whether the engine's own process runs."""
    entry = find_process(state.pid)
    return entry is not None and not entry.dead and _same(state, entry)


def members(state: EngineState) -> list[int]:
    """Give the processes of the engine's group that still run, its own included.

    The system gives a number to nobody else while a group bears it. So a leader that is
    gone leaves the group ours, and one that started at another time means that it is not.
    """
    leader = find_process(state.pid)
    if state.boot_id != boot_id() or (leader is not None and not _same(state, leader)):
        return []
    entries = [find_process(int(p.name)) for p in Path("/proc").iterdir() if p.name.isdecimal()]
    return [e.pid for e in entries if e is not None and e.group == state.pid and not e.dead]


def collect(state: EngineState, *, timeout_s: float) -> int | None:
    """Collect the engine's process where it has ended as our child, and give its exit code.

    None: it runs, or it is nobody's child here. A negative code is the signal that ended it.

    Args:
        state: The engine.
        timeout_s: Longest wait; a process looks dead while its last threads still end.
    """
    end = time.monotonic() + timeout_s
    while True:
        entry = find_process(state.pid)
        if entry is None or not (
            entry.dead and _same(state, entry) and entry.parent == os.getpid()
        ):
            return None
        found, status = os.waitpid(state.pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.02)


def _same(state: EngineState, entry: ProcessEntry) -> bool:
    return state.started_ticks == entry.started_ticks and state.boot_id == boot_id()
