"""`tame adapter`: a folder's way to live traffic and back, from the command line."""

import io
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from tame_router.errors import RolloutError
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tests.adapter_folder import write_adapter
from tests.cli.conftest import Result, Tame
from tests.cli.terminal import Terminal
from tests.scripted_registry import ScriptedRegistry
from tests.served_registry import serving_registry

pytestmark = pytest.mark.anyio

Adapter = Callable[..., Awaitable[Result]]
WORSE = Finding(
    reason=Reason.WORSE_THAN_LIVE,
    message="scores 0.41, live 0.75",
    advice="train it longer | or on more",
)
NOTE = Finding(
    reason=Reason.CARD_MISSING,
    message="there is no card",
    advice="write one",
    path="README.md",
    fatal=False,
)


@pytest.fixture
def registry() -> ScriptedRegistry:
    """Give a registry of two experts."""
    return ScriptedRegistry("legal", "medical")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Give the folder of a small adapter."""
    return str(write_adapter(tmp_path / "adapter", model_bytes=3000))


@pytest.fixture
async def adapter(tame: Tame, registry: ScriptedRegistry) -> AsyncIterator[Adapter]:
    """Give a function that runs `tame adapter` against a service of this process."""
    async with serving_registry(registry) as address:

        async def run(*arguments: str) -> Result:
            command = ("adapter", *arguments, "--server", address)
            return await anyio.to_thread.run_sync(lambda: tame(*command))

        yield run


async def uploaded(adapter: Adapter, folder: str, card: str = "card") -> str:
    """Upload an adapter with a card of its own, and give the revision's name."""
    (Path(folder) / "README.md").write_text(card)
    done = await adapter("upload", folder, "--expert", "legal", "--json")
    assert done.code == 0
    return str(json.loads(done.out)["name"])


async def told(adapter: Adapter, *arguments: str) -> list[dict[str, Any]]:
    """Run a command that succeeds, and read the objects it writes."""
    done = await adapter(*arguments, "--json")
    assert (done.code, done.err) == (0, "")
    return [json.loads(line) for line in done.out.splitlines()]


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
    """To all, or to a share of the callers; the label says who answers."""
    done = await adapter("upload", folder, "--expert", "legal", "--publish")
    name = done.out.split()[1]
    assert done.out.endswith(f"legal: {name} answers\n")
    (Path(folder) / "README.md").write_text("second")
    done = await adapter("upload", folder, "--expert", "legal", "--canary", "0.1", "--json")
    (facts,) = map(json.loads, done.out.splitlines())
    assert facts["label"]["live"] == name
    assert (facts["label"]["canary"], facts["label"]["canary_share"]) == (facts["name"], 0.1)
    assert facts["report"] == {"score": 0.75}


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


async def test_revisions_are_listed(adapter: Adapter, folder: str) -> None:
    """The newest first, with who answers; tabs in a pipe, objects for machines."""
    first = await uploaded(adapter, folder, "first")
    second = await uploaded(adapter, folder, "second")
    await adapter("publish", first)
    await adapter("publish", second, "--canary", "0.25")
    rows = [line.split("\t") for line in (await adapter("list")).out.splitlines()]
    assert [row[:3] for row in rows] == [
        [second, "active", "canary 25.0%"],
        [first, "active", "live"],
    ]
    facts = await told(adapter, "list", "--expert", "legal", "--state", "active", "--most", "1")
    assert [(fact["name"], fact["role"]) for fact in facts] == [(second, "canary 25.0%")]
    assert await told(adapter, "list", "--expert", "medical") == []
    wrong = await adapter("list", "--state", "asleep")
    assert (wrong.code, "expected some of" in wrong.err) == (2, True)


async def test_a_revision_is_shown(
    adapter: Adapter, registry: ScriptedRegistry, folder: str
) -> None:
    """As facts, as JSON with the report in it, and as Markdown whose cells nothing breaks."""
    registry.script.verdict = (NOTE, WORSE)
    registry.script.report = '{"cases": [{"id": "a", "live": 0.5}], "passed": false}'
    done = await adapter("upload", folder, "--expert", "legal", "--json")
    name = json.loads(done.out)["name"]
    shown = (await adapter("show", name)).out
    assert "cases[0].live: 0.5\n" in shown
    (facts,) = await told(adapter, "show", name)
    assert facts["report"]["passed"] is False
    assert [file["path"] for file in facts["files"]] == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    markdown = (await adapter("show", name, "--markdown")).out
    assert markdown.startswith(f"# {name}\n")
    assert "| refused | `WORSE_THAN_LIVE` |  | scores 0.41, live 0.75" in markdown
    assert "train it longer \\| or on more |" in markdown
    assert "| cases[0].live | 0.5 |" in markdown
    registry.script.report = "of another form"
    await adapter("retire", name, "--yes")


async def test_a_report_of_another_form_is_shown_as_it_is(
    adapter: Adapter, registry: ScriptedRegistry, folder: str
) -> None:
    """No router's report ends a command."""
    registry.script.report = "of another form \x1b[31m"
    name = await uploaded(adapter, folder)
    assert "report: of another form \ufffd[31m\n" in (await adapter("show", name)).out
    (facts,) = await told(adapter, "show", name)
    assert facts["report"] == registry.script.report


async def test_labels_move_and_the_history_tells(adapter: Adapter, folder: str) -> None:
    """Published, published over, and taken back with a reason."""
    first = await uploaded(adapter, folder, "first")
    second = await uploaded(adapter, folder, "second")
    done = await adapter("publish", first, "--request-id", "publish-1")
    assert (done.code, done.out) == (0, f"legal: {first} answers\n")
    moved = await adapter("publish", second, "--generation", "0")
    assert (moved.code, "LABEL_MOVED" in moved.err) == (1, True)
    (label,) = await told(adapter, "publish", second, "--generation", "1")
    assert (label["live"], label["generation"]) == (second, 2)
    done = await adapter("rollback", "legal", "--because", "it cites repealed acts")
    assert done.out == f"legal: {first} answers\n"
    history = await adapter("history", "legal")
    rows = [line.split("\t") for line in history.out.splitlines()]
    assert [(row[0], row[2], row[4]) for row in rows] == [
        ("3", "rollback", first),
        ("2", "publish", second),
        ("1", "publish", first),
    ]
    assert rows[0][7] == "it cites repealed acts"
    assert rows[0][6].startswith("local/anyone from 127.0.0.1:")
    assert rows[2][3] == "base model"
    assert history.err == f"legal: {first} answers\n"
    newest, *_ = await told(adapter, "history", "legal", "--most", "2")
    assert (newest["action"], newest["live_before"]) == ("rollback", second)
    nothing = await adapter("rollback", "medical")
    assert (nothing.code, "NOTHING_TO_RESTORE" in nothing.err) == (1, True)


async def test_a_rollout_that_fails_exits_with_1_and_says_why(
    adapter: Adapter, registry: ScriptedRegistry, folder: str
) -> None:
    """The replica's reason is on standard error, and nothing on standard output."""
    name = await uploaded(adapter, folder)
    registry.script.publish_with = RolloutError("replica b: loads, and answers rubbish")
    done = await adapter("publish", name)
    assert (done.code, done.out) == (1, "")
    assert done.err == "tame: ROLLOUT_FAILED: replica b: loads, and answers rubbish\n"


async def test_a_revision_is_evaluated_again(
    adapter: Adapter, registry: ScriptedRegistry, folder: str
) -> None:
    """It waits for the new verdict, and exits with 1 where that refuses."""
    name = await uploaded(adapter, folder)
    done = await adapter("evaluate", name)
    assert (done.code, "state        approved" in done.out) == (0, True)
    registry.script.verdict = (WORSE,)
    (facts,) = map(json.loads, (await adapter("evaluate", name, "--json")).out.splitlines())
    assert facts["state"] == "rejected"
    registry.script.verdict = ()
    assert (await adapter("evaluate", name)).code == 0
    await adapter("publish", name)
    failed = await adapter("evaluate", name)
    assert (failed.code, "INVALID_TRANSITION" in failed.err) == (1, True)


async def test_a_revision_is_withdrawn_and_collected(
    adapter: Adapter, registry: ScriptedRegistry, folder: str
) -> None:
    """Only with --yes; a dry run removes nothing."""
    name = await uploaded(adapter, folder)
    asked = await adapter("retire", name)
    assert (asked.code, "give --yes" in asked.err) == (2, True)
    done = await adapter("retire", name, "--yes")
    assert done.out == f"{name} is withdrawn\n"
    done = await adapter("gc", "--dry-run")
    assert done.out.splitlines()[0] == name
    assert "would remove 1 revisions, " in done.out
    assert name in registry.content
    (facts,) = await told(adapter, "gc")
    assert facts["revisions"] == [name]
    assert name not in registry.content


async def test_changes_are_told_until_the_reader_leaves(
    adapter: Adapter, registry: ScriptedRegistry, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line or one object each, as it happens."""

    class Three(io.StringIO):
        """Standard output whose reader leaves after three lines."""

        def flush(self) -> None:
            if self.getvalue().count("\n") == 3:
                raise KeyboardInterrupt

    name = await uploaded(adapter, folder)
    outs = []
    for more in ((), ("--json",)):
        out = Three()
        monkeypatch.setattr(sys, "stdout", out)
        done = await adapter("watch", "--expert", "legal", "--after", "0", *more)
        assert done.code == 130
        outs.append(out.getvalue().splitlines())
    text, lines = outs
    assert f"{name}  validating → evaluating  by the router: its files are in order" in text[1]
    assert f"{name}  validating  by local/anyone from 127.0.0.1:" in text[0]
    assert [json.loads(line)["state"] for line in lines] == [
        "validating",
        "evaluating",
        "approved",
    ]
    assert [json.loads(line)["sequence"] for line in lines] == [1, 2, 3]


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
