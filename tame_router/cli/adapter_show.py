"""`tame adapter list | show`."""

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tame_router.cli.adapter_desk import (
    add_router,
    connected,
    count,
    revision_facts,
    share_text,
    size_text,
)
from tame_router.cli.adapter_history import move_facts, move_text
from tame_router.cli.arguments import Commands, add_command
from tame_router.cli.stranger_text import plain
from tame_router.cli.tenant_desk import names, time_text, write_json, write_table

if TYPE_CHECKING:
    from tame_router.client.adapter import Label, LabelChange, Revision, Revisions

MOST = 100

EPILOG = """\
examples:
  tame adapter list
  tame adapter list --expert legal --state approved,active --json
  tame adapter show legal--0123456789abcdef
  tame adapter show legal--0123456789abcdef --markdown > report.md
"""


def add(commands: Commands) -> None:
    """Add the commands."""
    listing = add_command(
        commands, "list", summary="list revisions, the newest first", epilog=EPILOG
    )
    listing.add_argument("--expert", default="", metavar="NAME", help="of this expert alone")
    listing.add_argument(
        "--state", type=names, default=frozenset(), metavar="STATES", help="in these alone"
    )
    listing.add_argument(
        "--most", type=count, default=MOST, metavar="N", help=f"only so many (default: {MOST})"
    )
    add_router(listing)
    listing.set_defaults(run=run_list)
    show = add_command(
        commands, "show", summary="show a revision, and the report on it", epilog=EPILOG
    )
    show.add_argument("name", help="the revision's name")
    show.add_argument("--markdown", action="store_true", help="write Markdown")
    add_router(show)
    show.set_defaults(run=run_show)


def run_list(arguments: argparse.Namespace) -> int:
    """List revisions."""
    with connected(arguments) as client:
        found = client.adapters.list(arguments.expert, sorted(arguments.state), most=arguments.most)
    if arguments.json:
        roles = _roles(found.labels)
        facts = [{**revision_facts(r), "role": roles.get(r.name, "")} for r in found.revisions]
        write_json(*facts)
        return 0
    write_table(("name", "state", "answers", "brought by", "size", "uploaded"), _rows(found))
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Show a revision."""
    from tame_router.cli.adapter_screen import markdown, show_revision

    with connected(arguments) as client:
        revision = client.adapters.get(arguments.name)
        history = client.adapters.history(revision.expert, most=MOST)
    role = _roles([history.label]).get(revision.name, "")
    moves = [change for change in history.changes if _concerns(change, revision.name)]
    if arguments.json:
        facts = {**revision_facts(revision), "role": role}
        write_json({**facts, "moves": list(map(move_facts, moves))})
    elif arguments.markdown:
        sys.stdout.write(markdown(revision, role))
    else:
        show_revision(revision, role)
        for change in moves:
            sys.stdout.write(plain(f"{'moved':<12} {move_text(change)}") + "\n")
    return 0


def _concerns(change: "LabelChange", name: str) -> bool:
    """Tell whether a move is about a revision; of a canary that ended only the reason tells."""
    label = change.label
    named = {label.live, label.canary, label.shadow, change.live_before}
    return name in named or name in change.because


def _rows(found: "Revisions") -> list[tuple[str, ...]]:
    roles = _roles(found.labels)
    return [_row(revision, roles.get(revision.name, "")) for revision in found.revisions]


def _row(revision: "Revision", role: str) -> tuple[str, ...]:
    return (
        revision.name,
        revision.state.value,
        role,
        f"{revision.tenant}/{revision.subject}",
        size_text(revision.size_bytes),
        time_text(revision.create_time),
    )


def _roles(labels: Iterable["Label"]) -> dict[str, str]:
    """Tell of the revisions that answer whether they do to all or to some."""
    labels = tuple(labels)
    roles = {label.live: "live" for label in labels if label.live}
    for label in labels:
        if label.canary:
            roles[label.canary] = f"canary {share_text(label.canary_share)}"
        if label.shadow:
            shadow = "good shadow" if label.shadow_good else "shadow"
            roles[label.shadow] = f"{shadow} {share_text(label.shadow_share)}"
    return roles
