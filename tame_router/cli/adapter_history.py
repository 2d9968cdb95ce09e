"""`tame adapter history | watch`: what moved a label, and what happens to revisions."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from tame_router.cli.adapter_desk import (
    add_router,
    connected,
    count,
    label_facts,
    label_text,
    share_text,
    tell,
)
from tame_router.cli.arguments import Commands, add_command
from tame_router.cli.stranger_text import plain
from tame_router.cli.tenant_desk import time_text, write_json, write_table

if TYPE_CHECKING:
    from tame_router.client.adapter import LabelChange, StateChange

MOST = 100

EPILOG = """\
`watch` tells changes of state as they happen, until it is interrupted.

examples:
  tame adapter history legal
  tame adapter history legal --json
  tame adapter watch legal--0123456789abcdef
  tame adapter watch --expert legal --after 0 --json
"""


def add(commands: Commands) -> None:
    """Add the commands."""
    history = add_command(
        commands, "history", summary="show what answered when, and who said so", epilog=EPILOG
    )
    history.add_argument("expert", help="the expert's name")
    history.add_argument(
        "--most", type=count, default=MOST, metavar="N", help=f"only so many (default: {MOST})"
    )
    add_router(history)
    history.set_defaults(run=run_history)
    watch = add_command(
        commands, "watch", summary="tell what happens to revisions, as it happens", epilog=EPILOG
    )
    watch.add_argument("name", nargs="?", default="", help="of this revision alone")
    watch.add_argument("--expert", default="", metavar="NAME", help="of this expert alone")
    watch.add_argument(
        "--after", type=int, metavar="N", help="begin behind the change of this number; 0: all"
    )
    add_router(watch)
    watch.set_defaults(run=run_watch)


def run_history(arguments: argparse.Namespace) -> int:
    """Show the moves of a label, the newest first."""
    with connected(arguments) as client:
        history = client.adapters.history(arguments.expert, most=arguments.most)
    if arguments.json:
        write_json(*map(move_facts, history.changes))
        return 0
    tell(label_text(history.label))
    headings = ("number", "when", "what", "live before", "live", "canary", "who", "because")
    write_table(headings, [_move_row(change) for change in history.changes])
    return 0


def run_watch(arguments: argparse.Namespace) -> int:
    """Tell changes of state."""
    with (
        connected(arguments) as client,
        client.adapters.watch(
            arguments.name, expert=arguments.expert, after_sequence=arguments.after
        ) as changes,
    ):
        for change in changes:
            if arguments.json:
                write_json(_change_facts(change))
            else:
                sys.stdout.write(plain(_change_text(change)) + "\n")
            sys.stdout.flush()
    return 0


def move_facts(change: "LabelChange") -> dict[str, Any]:
    """Give a move of a label, for JSON."""
    facts = label_facts(change.label)
    facts["create_time"] = facts.pop("update_time")
    del facts["shadow_good"]  # of a move its action says so
    return {
        **facts,
        "action": change.action,
        "live_before": change.live_before,
        "tenant": change.tenant,
        "subject": change.subject,
        "peer": change.peer,
        "because": change.because,
    }


def move_text(change: "LabelChange") -> str:
    """Tell in a line what moved a label, and why."""
    because = f": {change.because}" if change.because else ""
    when = time_text(change.label.update_time)
    return f"{when}  {change.action} by {_who(change)}{because}"


def _move_row(change: "LabelChange") -> tuple[str, ...]:
    label = change.label
    canary = f"{label.canary} {share_text(label.canary_share)}" if label.canary else "-"
    if label.shadow:
        canary = f"shadow {label.shadow} {share_text(label.shadow_share)}"
    return (
        str(label.generation),
        time_text(label.update_time),
        change.action,
        change.live_before or "base model",
        label.live or "base model",
        canary,
        _who(change),
        change.because,
    )


def _change_facts(change: "StateChange") -> dict[str, Any]:
    return {
        "sequence": change.sequence,
        "revision": change.revision.name,
        "before": change.before.value if change.before else "",
        "state": change.state.value,
        "tenant": change.tenant,
        "subject": change.subject,
        "peer": change.peer,
        "because": change.because,
        "create_time": time_text(change.create_time),
    }


def _change_text(change: "StateChange") -> str:
    step = f"{change.before} → {change.state}" if change.before else change.state
    text = f"{change.sequence}  {time_text(change.create_time)}  {change.revision.name}  {step}"
    because = f": {change.because}" if change.because else ""
    return f"{text}  by {_who(change)}{because}"


def _who(change: "LabelChange | StateChange") -> str:
    if not change.tenant:
        return "the router"
    return f"{change.tenant}/{change.subject} from {change.peer}"
