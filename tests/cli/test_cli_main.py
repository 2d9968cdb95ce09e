"""The command line's root: help, exit codes, errors, and what is not imported."""

import argparse
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tame_router import __version__
from tame_router.cli.main import main, parser
from tests.cli.conftest import Tame

HEAVY = ("torch", "vllm", "litellm", "sklearn", "transformers", "scipy", "sqlalchemy")
NOT_FOR_HELP = (
    *(*HEAVY, "grpc", "google", "numpy", "rich", "pydantic", "yaml", "aiohttp", "msgspec"),
    *("opencc", "tame_router.answering.phrases"),
)


def commands(
    root: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Give every command with its words, groups included."""
    yield path, root
    for action in root._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from commands(below, (*path, name))


COMMANDS = dict(commands(parser()))


def examples(path: tuple[str, ...]) -> list[str]:
    """Give the command lines that a command's help shows."""
    shown = COMMANDS[path].format_help().partition("examples:\n")[2].partition("\n\n")[0]
    lines = shown.splitlines()
    return [line.strip() for line in lines if re.match(r"  \S", line)]


def loaded(statement: str, names: tuple[str, ...]) -> str:
    """Run a statement in a fresh interpreter, and give which of some packages it imported."""
    program = f"import sys\n{statement}\nprint(sorted({{*{names!r}}} & {{*sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.mark.parametrize("path", list(COMMANDS), ids=" ".join)
def test_every_help_shows_examples(path: tuple[str, ...], tame: Tame) -> None:
    """Each command's help says what it does and shows how it is called."""
    result = tame(*path, "--help")
    assert result.code == 0
    assert result.err == ""
    assert COMMANDS[path].description
    assert any("tame " in line for line in examples(path))


@pytest.mark.parametrize("path", list(COMMANDS), ids=" ".join)
def test_every_example_can_be_typed(path: tuple[str, ...]) -> None:
    """What help shows is understood by the parser: no option is shown that is not there."""
    for line in examples(path):
        typed = re.split(r" [|>] ", re.sub(r"^.*?\btame ", "", re.sub(r"\s{3,}.*", "", line)))[0]
        assert parser().parse_args(shlex.split(typed)).run


def test_the_root_shows_exit_codes_and_commands(tame: Tame) -> None:
    """`tame --help` lists every command and documents what it exits with."""
    out = tame("--help").out
    for name, *_ in filter(None, COMMANDS):
        assert re.search(rf"^ +{name} ", out, re.MULTILINE)
    for code in ("0", "1", "2", "3", "130"):
        assert re.search(rf"^ +{code}  \S", out, re.MULTILINE)


def test_the_version_is_told(tame: Tame) -> None:
    """`tame --version` prints the package's."""
    assert tame("--version").out == f"tame {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [(), ("predict",), ("experts",), ("ask",), ("serve", "--port", "many")]
)
def test_a_wrong_command_line_is_refused(tame: Tame, arguments: tuple[str, ...]) -> None:
    """What cannot be parsed exits with 2 and shows the usage."""
    result = tame(*arguments)
    assert result.code == 2
    assert result.err.startswith("usage: tame")
    assert result.out == ""


def test_a_wrong_configuration_is_named(tame: Tame, tmp_path: Path) -> None:
    """A bad setting exits with 3, one reason and no stack trace."""
    file = tmp_path / "bad.yaml"
    file.write_text("server: {prt: 1}")
    result = tame("config", "show", "--config", str(file))
    assert result.code == 3
    assert result.err.startswith("tame: INVALID_CONFIGURATION: ")
    assert "server.prt" in result.err
    assert "Traceback" not in result.err


def test_an_interrupted_command_says_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tame: Tame
) -> None:
    """Ctrl-C exits with 130, without a stack trace."""

    class Interrupting:
        """Standard input whose reader is interrupted."""

        def read(self) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Interrupting())
    result = tame("ask", "-")
    assert (result.code, result.out, result.err) == (130, "", "")


def test_a_reader_who_has_gone_is_nobody_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed pipe exits with 1 and without a word, also when the last bytes are flushed."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["config", "schema"]) == 1


def test_a_pipe_is_left_quietly() -> None:
    """As a program, `tame … | head` complains neither on its way nor at its end."""
    for command in ("config schema", "config show", "--help"):
        done = subprocess.run(
            ["sh", "-c", f"{sys.executable} -m tame_router {command} | true"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.stdout, done.stderr) == ("", "")


def test_the_module_is_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m tame_router` exits with the command's code."""
    monkeypatch.setattr(sys, "argv", ["tame", "config", "schema"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module("tame_router", run_name="__main__")
    assert left.value.code == 0
    for arguments, code in ((["config", "schema"], 0), (["route"], 2), (["frobnicate"], 2)):
        done = subprocess.run(
            [sys.executable, "-m", "tame_router", *arguments],
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code


def test_the_command_line_imports_nothing_heavy() -> None:
    """Help is there at once: no command's libraries are loaded before it runs."""
    assert loaded("import tame_router.cli.main", NOT_FOR_HELP) == "[]"
    help_shown = (
        "import contextlib, io\nfrom tame_router.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main(['--help'])"
    )
    assert loaded(help_shown, NOT_FOR_HELP) == "[]"


def test_the_service_imports_nothing_heavy() -> None:
    """A router that serves loads neither what trains it nor other engines' libraries."""
    assert loaded("import tame_router.app", HEAVY) == "[]"
    assert loaded("import tame_router.client.client", (*HEAVY, "pydantic", "numpy")) == "[]"
