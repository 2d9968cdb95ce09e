"""The folder that gives vLLM our plugin."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import tame_router
from tame_router.backends.engine.plugin import (
    ENTRY_POINT,
    ENTRY_POINT_VALUE,
    MIDDLEWARE,
    lay_out,
)

ROOT = Path(__file__).parents[3]
FIND = f"""
import importlib.metadata, importlib.util, sys
(point,) = importlib.metadata.entry_points(group="vllm.general_plugins", name={ENTRY_POINT!r})
print(point.value)
module, _, name = {MIDDLEWARE!r}.rpartition(".")
print(importlib.util.find_spec(module).origin)
print(getattr(importlib.import_module(module), name).__name__)
"""


def test_another_interpreter_finds_entry_point_and_middleware(tmp_path: Path) -> None:
    """With the folder on its path it sees this very package, and nothing that lies beside it."""
    lay_out(tmp_path)
    lay_out(tmp_path)  # again, as every start does
    done = subprocess.run(
        [sys.executable, "-S", "-c", FIND],
        env={"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    value, origin, name = done.stdout.splitlines()
    assert value == ENTRY_POINT_VALUE
    assert Path(origin).resolve().is_relative_to(Path(tame_router.__file__).resolve().parent)
    assert name == MIDDLEWARE.rpartition(".")[2]
    assert {path.suffix for path in tmp_path.iterdir()} == {"", ".dist-info"}
    assert len(list(tmp_path.iterdir())) == 2


def test_it_is_the_entry_point_of_the_distribution() -> None:
    """An engine into which the package was installed finds the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["vllm.general_plugins"] == {ENTRY_POINT: ENTRY_POINT_VALUE}
