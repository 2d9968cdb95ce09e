"""The router as a process: started, waited for, found again, stopped."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tame_router.backends.engine.state import find_process

READY = "serving on "
HTTP_READY = "serving HTTP on "


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a router listens, `host:port` each."""

    grpc: str
    http: str


@contextlib.contextmanager
def router(environment: Mapping[str, str], log: Path) -> Iterator[Addresses]:
    """Run `tame serve` on free ports, and give its addresses.

    Args:
        environment: `TAME_` variables for it.
        log: File that gets its log.

    Raises:
        RuntimeError: When it does not come up; the message holds the end of its log.
    """
    with log.open("w", encoding="utf-8") as errors:
        process = start({**environment, "TAME_SERVER__PORT": "0", "TAME_HTTP__PORT": "0"}, errors)
        try:
            yield read_addresses(process, log)
        finally:
            process.terminate()
            process.wait()


def start(environment: Mapping[str, str], errors: IO[str]) -> subprocess.Popen[str]:
    """Start `tame serve` with this interpreter, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tame_router", "serve"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,
    )


def read_addresses(
    process: subprocess.Popen[str], log: Path, *, http_enabled: bool = True
) -> Addresses:
    """Wait for the lines that tell the addresses.

    Args:
        process: The router.
        log: File that gets its log.
        http_enabled: It serves HTTP, and tells where.

    Raises:
        RuntimeError: When the process ends first.
    """
    if process.stdout is None:
        raise RuntimeError("the process was started without a pipe for its output")
    for line in process.stdout:
        if line.startswith(READY):
            told = process.stdout.readline() if http_enabled else ""
            http = told.removeprefix(HTTP_READY).strip()
            return Addresses(grpc=line.removeprefix(READY).strip(), http=http)
    tail = "".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[-15:])
    raise RuntimeError(f"the router did not start (exit code {process.wait()}):\n{tail}")


class RouterPidFile:
    """Remembers a router that was left running.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, pid: int, addresses: Addresses) -> None:
        """Remember a process, and the time it was started, so that its number is not enough."""
        entry = find_process(pid)
        facts = {
            "pid": pid,
            "started": entry.started_ticks if entry else 0,
            "address": addresses.grpc,
            "http": addresses.http,
        }
        self._path.write_text(json.dumps(facts) + "\n", encoding="utf-8")

    def addresses(self) -> Addresses | None:
        """Give the addresses of the router where it still runs."""
        running = self._running()
        return Addresses(grpc=running["address"], http=running.get("http", "")) if running else None

    def stop(self, timeout_s: float) -> bool:
        """Ask the router to end and wait for it; tell whether one ran."""
        running = self._running()
        if running:
            os.kill(running["pid"], signal.SIGTERM)
            until = time.monotonic() + timeout_s
            while self._running() and time.monotonic() < until:
                time.sleep(0.1)
        self._path.unlink(missing_ok=True)
        return running is not None

    def _running(self) -> dict[str, Any] | None:
        try:
            facts: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        entry = find_process(facts["pid"])
        same = entry is not None and not entry.dead and entry.started_ticks == facts["started"]
        return facts if same else None
