"""`tame adapter`: what becomes of revisions, from the command line."""

import io
import json
import sys

import pytest

from tame_router.errors_registry import RolloutError
from tests.cli.adapter_calls import NOTE, WORSE, Adapter, told, uploaded
from tests.scripted_registry import ScriptedRegistry

pytestmark = pytest.mark.anyio


async def test_revisions_are_listed(adapter: Adapter, folder: str) -> None:
    """The newest first, with who answers; tabs in a pipe, objects for machines."""
    first = await uploaded(adapter, folder, "first")
    second = await uploaded(adapter, folder, "second")
    await adapter("publish", first)
    await adapter("publish", second, "--canary", "0.25")
    rows = [line.split("\t") for line in (await adapter("list")).out.splitlines()]
    assert [row[:3] for row in rows] == [
        [second, "active", "canary 25%"],
        [first, "active", "live"],
    ]
    facts = await told(adapter, "list", "--expert", "legal", "--state", "active", "--most", "1")
    assert [(fact["name"], fact["role"]) for fact in facts] == [(second, "canary 25%")]
    assert await told(adapter, "list", "--expert", "medical") == []
    wrong = await adapter("list", "--state", "asleep")
    assert (wrong.code, "expected some of" in wrong.err) == (2, True)


async def test_whom_a_revision_answers_is_shown(adapter: Adapter, folder: str) -> None:
    """All, a share of the conversations, copies, or nobody: for people and for machines."""
    live = await uploaded(adapter, folder, "first")
    new = await uploaded(adapter, folder, "second")

    async def role(name: str) -> str:
        shown = (await adapter("show", name)).out
        (line,) = [line for line in shown.splitlines() if line.startswith("role ")]
        (facts,) = await told(adapter, "show", name)
        found = line.removeprefix("role").strip()
        assert facts["role"] == ("" if found == "none" else found)
        assert f"| role | {found} |" in (await adapter("show", name, "--markdown")).out
        return found

    await adapter("publish", live)
    assert (await role(live), await role(new)) == ("live", "none")
    await adapter("publish", new, "--canary", "0.25")
    assert await role(new) == "canary 25%"
    await adapter("publish", new, "--shadow", "0.25")
    assert await role(new) == "shadow 25%"


async def test_a_shadow_is_published_and_found_good(
    adapter: Adapter, registry: ScriptedRegistry, folder: str
) -> None:
    """Lists, histories and the revision itself say what it is, and what came of it."""
    name = await uploaded(adapter, folder, "first")
    done = await adapter("publish", name, "--shadow", "0.25")
    assert f"{name} answers copies of 25%, for nobody" in done.out
    (facts,) = await told(adapter, "list")
    assert facts["role"] == "shadow 25%"
    await registry.prove("legal")
    (facts,) = await told(adapter, "list")
    assert facts["role"] == "good shadow 25%"
    (proven, first) = await told(adapter, "history", "legal")
    assert (proven["action"], first["action"], proven["shadow"]) == ("prove", "shadow", name)
    history = await adapter("history", "legal")
    assert "was found good as a shadow, and waits to be published" in history.err
    assert f"shadow {name} 25%" in history.out
    (shown,) = await told(adapter, "show", name)
    assert [move["action"] for move in shown["moves"]] == ["prove", "shadow"]
    page = (await adapter("show", name)).out
    assert f"prove by the router: {name} is not clearly worse" in page
    both = await adapter("publish", name, "--shadow", "0.25", "--canary", "0.25")
    assert (both.code, "not allowed with" in both.err) == (2, True)


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
    refused = await adapter("publish", second, "--generation", "-1")
    assert (refused.code, "'-1' is no generation" in refused.err) == (2, True)
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
    assert "would remove 1 revision, " in done.out
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
