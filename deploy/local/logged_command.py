"""Run one step of an installation: its words into a log, its progress to the user."""

import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

REPORT_EVERY_S = 10.0
ADVICE = (
    (r"No space left on device", "free some disk space"),
    (
        r"NewConnectionError|NameResolutionError|ConnectTimeout|Network is unreachable"
        r"|Temporary failure in name resolution|Failed to establish a new connection",
        "no package index can be reached: check the network, or the proxy or index pip is set to",
    ),
    (
        r"No matching distribution",
        "no index that was tried has this package for this Python and machine",
    ),
    (r"CERTIFICATE_VERIFY_FAILED", "point PIP_CERT at your organisation's certificate bundle"),
    (r"[Pp]ermission denied", "make the state folder writable"),
    (
        r"ensurepip|No module named venv",
        "install the venv module (Debian: apt install python3-venv)",
    ),
)


class InstallError(Exception):
    """A step failed; the message says which, why and what to do."""


def say(text: str) -> None:
    """Tell the user what happens now, at once."""
    print(text, flush=True)


def run(log_path: Path, command: list[str], what: str, count: int = 0) -> None:
    """Run a command into a log, telling how far it is.

    Args:
        log_path: File that its words are added to.
        command: Program and arguments.
        what: Name of the step, for the error.
        count: Packages that pip will collect; 0: not known.

    Raises:
        InstallError: When it exits with another code than 0.
    """
    said: list[str] = []
    with log_path.open("a", encoding="utf-8") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            try:
                for line in _followed(process.stdout or [], count):
                    log.write(line)
                    said.append(line)
            except BaseException:
                process.terminate()
                raise
    if process.returncode:
        raise InstallError(_explain(what, "".join(said[-400:]), log_path))


def _followed(lines: Iterable[str], count: int) -> Iterator[str]:
    """Pass lines through; report on a terminal at once, in a pipe now and then."""
    live = sys.stdout.isatty()
    collected, last = 0, time.monotonic()
    for line in lines:
        yield line
        found = re.match(r"(Collecting|Processing|Downloading|Installing) (\S+)", line.strip())
        if not found:
            continue
        collected += found[1] in {"Collecting", "Processing"}
        amount = f"{collected} of {count}: " if count else ""
        # "Installing collected packages: …" lists them all.
        name = "what was fetched" if found[1] == "Installing" else Path(found[2]).name[:60]
        text = f"  {amount}{found[1].lower()} {name}"
        if live:
            print(f"\r\x1b[K{text}", end="", flush=True)
        elif time.monotonic() - last > REPORT_EVERY_S or found[1] == "Installing":
            print(text, flush=True)
            last = time.monotonic()
    if live:
        print("\r\x1b[K", end="", flush=True)


def _explain(what: str, said: str, log: Path) -> str:
    """Turn what a failed command said into what to do."""
    errors = [
        line for line in said.splitlines() if re.match(r"(ERROR|error|\w*Error)\b", line.strip())
    ]
    last = (errors or said.strip().splitlines() or ["it said nothing"])[-1]
    advice = next((text for pattern, text in ADVICE if re.search(pattern, said)), "see the log")
    return f"{what}: {last[:300]}\n  what to do: {advice}, then run this again\n  log: {log}"
