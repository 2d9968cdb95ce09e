"""The pages for partners: every industry, every step, and commands that this program takes."""

import ast
import itertools
import json
import re
import shlex
from pathlib import Path

import pytest

from tame_router.cli.main import parser
from tame_router.registry.reason import Reason
from tame_router.routing.simplified import count_simplified
from tests.docs.test_examples import blocks

FOLDER = Path(__file__).resolve().parents[2] / "docs/partners"
NAMES = ("hospital", "law-firm", "pcb-factory", "electronics", "chemicals", "media")
STEPS = ["連線", "提問", "串流", "上傳自己的 adapter", "查用量"]


def commands(page: Path) -> list[list[str]]:
    """Give the command lines of a page, continued lines put together."""
    text = "".join(blocks(page, "console")).replace("\\\n", " ")
    return [shlex.split(line[2:]) for line in text.splitlines() if line.startswith("$ ")]


def check(lines: list[list[str]]) -> None:
    """Make sure that `tame` takes its commands, and that JSON is JSON."""
    for program, *arguments in lines:
        if program == "tame":
            assert parser().parse_args(arguments).run
        for flag, value in itertools.pairwise(arguments):
            if flag == "-d":
                assert isinstance(json.loads(value), dict)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_every_step(name: str) -> None:
    """Connect, ask, stream, bring an adapter and read the usage, and it is indexed."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == STEPS
    assert "(adapter.md)" in text
    assert f"({name}.md)" in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_commands_and_code_of_a_page_are_valid(name: str) -> None:
    """`tame` takes its commands, JSON is JSON, and Python compiles."""
    page = FOLDER / f"{name}.md"
    lines = commands(page)
    check(lines)
    assert any("AdminService/GetUsage" in argument for line in lines for argument in line)
    for code in blocks(page, "python"):
        assert ast.parse(code).body


def test_the_guide_to_adapters_is_valid() -> None:
    """Its commands are taken, its code compiles, and its reasons are those of the code."""
    page = FOLDER / "adapter.md"
    lines = commands(page)
    check(lines)
    shown = {arguments[2] for arguments in lines if arguments[0] == "tame"}
    assert {"sign", "validate", "upload", "show", "publish", "rollback", "history"} <= shown
    for code in blocks(page, "python"):
        assert ast.parse(code).body
    text = page.read_text(encoding="utf-8")
    reasons = re.findall(r"^\| `([A-Z_]+)` \|", text, flags=re.MULTILINE)
    assert reasons
    assert set(reasons) <= set(Reason)


@pytest.mark.parametrize("name", [*NAMES, "adapter"])
def test_a_page_is_traditional(name: str) -> None:
    """No page for partners in Taiwan has a Simplified character."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert count_simplified(text) == 0
