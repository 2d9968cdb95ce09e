"""`tame adapter upload | validate`: a folder's way to a running router."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.adapter_calls import NOTE, WORSE, Adapter
from tests.cli.conftest import Tame
from tests.cli.terminal import Terminal
from tests.scripted_registry import ScriptedRegistry

pytestmark = pytest.mark.anyio


async def test_an_upload_waits_for_the_verdict_and_shows_it(
    adapter: Adapter, registry: ScriptedRegistry, folder: str
) -> None:
    """What is told on the way goes to standard error, the verdict to standard output."""
    registry.script.verdict = (NOTE,)
    done = await adapter("upload", folder, "--expert", "legal")
    assert done.code == 0
    (name,) = registry.records
    lines = done.out.splitlines()
    assert lines[0].split() == ["name", name]
    assert lines[2].split() == ["state", "approved"]
    assert "brought by   local/anyone" in lines
    assert "note         CARD_MISSING (README.md): there is no card; write one" in lines
    assert lines[-1] == "score: 0.75"
    assert "left out, and sent with --all: .gitattributes, optimizer.pt\n" in done.err
    assert f"uploaded {name}, " in done.err
    assert f"{name} is approved\n" in done.err


async def test_a_refused_revision_exits_with_1(
    adapter: Adapter, registry: ScriptedRegistry, folder: str
) -> None:
    """The report says why, and it is not published although that was asked for."""
    registry.script.verdict = (WORSE,)
    done = await adapter("upload", folder, "--expert", "legal", "--publish")
    assert done.code == 1
    assert "refused      WORSE_THAN_LIVE: scores 0.41, live 0.75; train it" in done.out
    assert "answers" not in done.out
    again = await adapter("upload", folder, "--expert", "legal", "--json")
    assert (again.code, json.loads(again.out)["state"]) == (1, "rejected")


async def test_an_upload_is_published_when_it_is_approved(adapter: Adapter, folder: str) -> None:
    """To all, or to a share of the conversations; the label says who answers."""
    done = await adapter("upload", folder, "--expert", "legal", "--publish")
    name = done.out.split()[1]
    assert done.out.endswith(f"legal: {name} answers\n")
    assert done.out.splitlines()[2].split() == ["state", "active"]
    (Path(folder) / "README.md").write_text("second")
    done = await adapter("upload", folder, "--expert", "legal", "--canary", "0.1", "--json")
    (facts,) = map(json.loads, done.out.splitlines())
    assert facts["label"]["live"] == name
    assert (facts["label"]["canary"], facts["label"]["canary_share"]) == (facts["name"], 0.1)
    assert (facts["state"], facts["report"]) == ("active", {"score": 0.75})


async def test_what_was_published_before_is_published_again(
    adapter: Adapter, registry: ScriptedRegistry, folder: str
) -> None:
    """A revision that another has replaced, or that is a canary: it answers all afterwards."""

    async def upload(card: str, *how: str) -> dict[str, Any]:
        (Path(folder) / "README.md").write_text(card)
        done = await adapter("upload", folder, "--expert", "legal", "--json", *how)
        assert done.code == 0
        return dict(json.loads(done.out))

    first = await upload("first", "--publish")
    await upload("second", "--canary", "0.1")
    second = await upload("second", "--publish")
    assert (second["state"], second["label"]["live"]) == ("active", second["name"])
    assert (second["label"]["canary"], second["report"]) == ("", {"score": 0.75})
    assert registry.records[first["name"]].state == "retired"
    again = await upload("first", "--publish")
    assert (again["state"], again["label"]["live"]) == ("active", first["name"])


async def test_what_cannot_be_published_yet_is_said_before_a_byte_is_sent(
    adapter: Adapter, registry: ScriptedRegistry, folder: str
) -> None:
    """Not waiting and publishing exclude each other; without publishing it comes back at once."""
    done = await adapter("upload", folder, "--expert", "legal", "--no-wait", "--publish")
    assert (done.code, registry.opened) == (2, [])
    assert "tame adapter publish" in done.err
    registry.script.hold = True
    done = await adapter("upload", folder, "--expert", "legal", "--no-wait", "--json")
    assert (done.code, json.loads(done.out)["state"]) == (0, "validating")


async def test_a_verdict_that_takes_too_long_is_not_waited_for(
    adapter: Adapter, registry: ScriptedRegistry, folder: str
) -> None:
    """The command says that the router goes on, and how to see the end."""
    registry.script.hold = True
    done = await adapter("upload", folder, "--expert", "legal", "--timeout", "0.2")
    assert done.code == 1
    assert "is evaluating" in done.err
    assert "DEADLINE_EXCEEDED" in done.err
    assert "`tame adapter watch legal--" in done.err


async def test_a_dry_run_lists_what_it_finds(
    adapter: Adapter, registry: ScriptedRegistry, folder: str
) -> None:
    """It exits with 1 where the upload would be refused, and keeps nothing."""
    done = await adapter("validate", folder, "--expert", "legal")
    assert done.code == 0
    assert done.out.endswith(" is in order\n")
    registry.script.refusal = (NOTE, WORSE)
    done = await adapter("validate", folder, "--expert", "legal")
    first, second, last = done.out.splitlines()
    assert (done.code, last.endswith("would be refused")) == (1, True)
    assert first.startswith("CARD_MISSING (README.md): ")
    assert second.startswith("WORSE_THAN_LIVE: ")
    done = await adapter("validate", folder, "--expert", "legal", "--json")
    facts = json.loads(done.out)
    assert (done.code, facts["refused"]) == (1, True)
    assert [finding["reason"] for finding in facts["findings"]] == [NOTE.reason, WORSE.reason]
    assert not registry.records


async def test_a_terminal_sees_a_bar_and_a_table(
    adapter: Adapter, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is received grows on standard error; a pipe sees no bar."""
    screen, out = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    done = await adapter("upload", folder, "--expert", "legal")
    assert done.code == 0
    assert "kB" in screen.getvalue()
    await adapter("list")
    assert "brought by" in out.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        ("upload", "x", "--expert", "legal", "--canary", "1"),
        ("upload", "x", "--expert", "legal", "--canary", "half"),
        ("upload", "x", "--expert", "legal", "--timeout", "0"),
        ("upload", "x", "--expert", "legal", "--timeout", "soon"),
        ("list", "--most", "0"),
        ("upload", "x"),
    ],
)
def test_a_wrong_command_line_is_refused(tame: Tame, arguments: tuple[str, ...]) -> None:
    """What is out of range is said without a router."""
    done = tame("adapter", *arguments)
    assert (done.code, done.out) == (2, "")


async def test_a_folder_with_a_link_is_refused_by_name(
    adapter: Adapter, registry: ScriptedRegistry, folder: str
) -> None:
    """Before a byte is sent, with the exit code of a wrong command line."""
    target = Path(folder) / "README.md"
    target.unlink()
    target.symlink_to("/etc/hostname")
    done = await adapter("upload", folder, "--expert", "legal")
    assert (done.code, registry.opened) == (2, [])
    assert "README.md is a symbolic link" in done.err


def test_the_help_shows_a_grant_that_can_be_made(tame: Tame) -> None:
    """`--publish` takes the experts' names."""
    assert "`tame tenant grant NAME --publish EXPERT`" in tame("adapter", "--help").out
