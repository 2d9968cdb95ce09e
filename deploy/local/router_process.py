"""The router as a child process: started, waited for, stopped."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

READY = "serving on "


@contextlib.contextmanager
def router(environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """Run `tame serve` on a free port, and give its address.

    Args:
        environment: `TAME_` variables for it.
        log: File that gets its log.

    Raises:
        RuntimeError: When it does not come up; the message holds the end of its log.
    """
    with log.open("w", encoding="utf-8") as errors:
        process = start({**environment, "TAME_SERVER__PORT": "0"}, errors)
        try:
            yield read_address(process, log)
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


def read_address(process: subprocess.Popen[str], log: Path) -> str:
    """Wait for the line that tells the address.

    Raises:
        RuntimeError: When the process ends first.
    """
    if process.stdout is None:
        raise RuntimeError("the process was started without a pipe for its output")
    for line in process.stdout:
        if line.startswith(READY):
            return line.removeprefix(READY).strip()
    tail = "".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[-15:])
    raise RuntimeError(f"the router did not start (exit code {process.wait()}):\n{tail}")
