"""Commands run in this process, in an empty folder, with the log put back afterwards."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tame_router.cli.main import main


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


Tame = Callable[..., Result]
"""Runs `tame` with the given arguments."""


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the surroundings out: no tame.yaml, no variables, no log handlers left behind."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for variable in [name for name in os.environ if name.startswith("TAME_")]:
        monkeypatch.delenv(variable)
    root, own = logging.getLogger(), logging.getLogger("tame_router")
    before = (list(root.handlers), root.level, own.level)
    yield
    root.handlers[:], root.level, own.level = before


@pytest.fixture
def tame(capsys: pytest.CaptureFixture[str]) -> Tame:
    """Give a function that runs a command and reads what it wrote."""

    def run(*arguments: str) -> Result:
        try:
            code = main(arguments)
        except SystemExit as leave:  # of argparse
            code = int(leave.code or 0)
        written = capsys.readouterr()
        return Result(code=code, out=written.out, err=written.err)

    return run
