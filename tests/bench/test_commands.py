"""Every benchmark is a command of its own, run by its path as the documents say."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = sorted(
    path.relative_to(ROOT)
    for path in (ROOT / "bench").glob("*.py")
    if "argparse.ArgumentParser(" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_it_says_how_it_is_used(command: Path) -> None:
    """From the repository's root, without setting anything, it finds what it needs."""
    told = subprocess.run(
        [sys.executable, str(command), "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("usage: ")
