"""docs/adapters.md says what the code does, and its examples do what the page says."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
import yaml

from tame_router import app
from tame_router.client.async_client import AsyncClient
from tame_router.config_registry import RegistrySettings
from tame_router.registry.state import TRANSITIONS, State
from tests.docs.test_examples import DOCUMENTED_ADDRESS, blocks
from tests.registry_fixture import Site, name_of, write_adapter

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/adapters.md"
PAGE = DOCUMENT.read_text(encoding="utf-8")
NAMES = {"out/legal": "legal--0123456789abcdef", "out/legal-2": "legal--fedcba9876543210"}
"""Folders of the page, and what it calls their revisions."""

ENDLESS = "watch"
WITHOUT_ROUTER = frozenset({"sign", "verify"})


def rows(columns: int) -> Iterator[tuple[str, ...]]:
    """Give the rows of the tables of states that have so many columns, without marks of code."""
    section = PAGE.split("## States\n")[1].split("\n## ")[0]
    for line in re.findall(r"^\| `.*\|$", section, flags=re.MULTILINE):
        cells = tuple(cell.strip().strip("`") for cell in line.strip("|").split("|"))
        if len(cells) == columns:
            yield cells


def commands() -> list[list[str]]:
    """Give the commands of the page, in order."""
    lines = "".join(blocks(DOCUMENT, "console")).splitlines()
    return [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ ")]


async def run(*arguments: str, cwd: Path) -> str:
    """Run a program to its good end, and give what it wrote."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = await anyio.run_process(arguments, cwd=cwd, env=environment, check=False)
    assert done.returncode == 0, (arguments, done.stdout.decode(), done.stderr.decode())
    return done.stdout.decode()


async def tame(*arguments: str, cwd: Path) -> str:
    """Run `tame`."""
    return await run(sys.executable, "-m", "tame_router", *arguments, cwd=cwd)


def test_the_table_of_states_is_that_of_the_code() -> None:
    """All states in their order, and all that may happen, in the order of the code."""
    assert [state for state, _ in rows(2)] == [str(state) for state in State]
    assert list(rows(3)) == [
        (str(at), str(event), str(then)) for (at, event), then in TRANSITIONS.items()
    ]


@pytest.mark.parametrize("text", blocks(DOCUMENT, "yaml"))
def test_the_settings_are_valid(text: str) -> None:
    """Each example may stand in the configuration as it is."""
    RegistrySettings.model_validate(yaml.safe_load(text)["registry"])


def test_every_command_is_shown() -> None:
    """The page leaves no command of `tame adapter` out."""
    shown = {arguments[2] for arguments in commands() if arguments[:2] == ["tame", "adapter"]}
    assert shown == {
        *("upload", "validate", "list", "show", "evaluate", "publish", "rollback", "retire"),
        *("history", "watch", "gc", "sign", "verify"),
    } - {"evaluate"}


@pytest.mark.timeout(180)
async def test_the_page_is_a_life(site: Site) -> None:
    """Its commands, in their order, bring one revision in, replace it, and go back."""
    work = site.folder / "work"
    given = [(work / folder, seed) for seed, folder in enumerate(NAMES, 1)]
    for folder, seed in given:
        write_adapter(folder, seed)
    todo = commands()
    for line in [line for line in todo if line[0] == "openssl" or line[2] in WITHOUT_ROUTER]:
        if line[0] == "tame":
            await tame(*line[1:], cwd=work)
        else:
            await run(*line, cwd=work)
    meant = {f"{shown}": name_of(work / folder) for folder, shown in NAMES.items()}
    site.teach(*meant.values())
    (signing,) = [text for text in blocks(DOCUMENT, "yaml") if "signers" in text]
    policy = yaml.safe_load(signing)["registry"]["signers"]["partner"]
    policy["public_keys"] = [str(work / path) for path in policy["public_keys"]]
    policy["policy"] = "optional"  # one of the two folders is not signed
    said: dict[str, list[str]] = {}
    settings = site.changed(signing=policy)
    async with app.running(settings) as address, AsyncClient(address, attempts=1) as client:
        for _, *arguments in todo:
            if arguments[0] != "adapter" or arguments[1] in {*WITHOUT_ROUTER, ENDLESS}:
                continue
            known = [meant.get(one, one) for one in arguments]
            written = await tame(*known, "--server", address, cwd=work)
            said.setdefault(arguments[1], []).append(written)
        first, second = meant.values()
        history = await client.adapters.history("legal")
        assert [(one.action, one.label.live) for one in reversed(history.changes)] == [
            ("publish", first),
            ("canary", first),
            ("publish", second),
            ("rollback", first),
        ]
        assert "signed by    partner.pub.pem" in said["show"][0]
        assert said["validate"][0].count(first)
        assert (await client.adapters.get(second)).withdrawn
        assert "it cites repealed acts" in said["history"][0]


async def test_the_python_example_runs(site: Site) -> None:
    """It uploads, watches and publishes, as it stands."""
    (code,) = blocks(DOCUMENT, "python")
    work = site.folder / "work"
    write_adapter(work / "out/legal", 1)
    name = name_of(work / "out/legal")
    async with app.running(site.settings) as address, AsyncClient(address, attempts=1) as client:
        code = code.replace(DOCUMENTED_ADDRESS, address)
        written = await run(sys.executable, "-c", code, cwd=work)
        assert (await client.adapters.history("legal")).label.live == name
    assert f"{name} approved" in written
