"""Commands run in this process, in an empty folder, with the log put back afterwards."""

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
import pytest

from tame_router.cli.main import main
from tests.adapter_folder import write_adapter
from tests.scripted_registry import ScriptedRegistry
from tests.served_registry import serving_registry


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


@pytest.fixture
def registry() -> ScriptedRegistry:
    """Give a registry of two experts."""
    return ScriptedRegistry("legal", "medical")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Give the folder of a small adapter."""
    return str(write_adapter(tmp_path / "adapter", model_bytes=3000))


@pytest.fixture
async def adapter(
    tame: Tame, registry: ScriptedRegistry
) -> AsyncIterator[Callable[..., Awaitable[Result]]]:
    """Give a function that runs `tame adapter` against a service of this process."""
    async with serving_registry(registry) as address:

        async def run(*arguments: str) -> Result:
            command = ("adapter", *arguments, "--server", address)
            return await anyio.to_thread.run_sync(lambda: tame(*command))

        yield run
