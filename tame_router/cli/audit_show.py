"""`tame audit show`: who asked, who answered, how it ended."""

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Any

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.audit_archive import opened
from tame_router.cli.stranger_text import plain

EPILOG = """\
Texts are shown with --json, and only where the tenant has them kept.

With --changes, what was done to tenants, their grants, keys and bindings.

examples:
  tame audit show --since 2026-11-24T08:00+08:00
  tame audit show --answer 1f0c2a7be94d3c55 --json
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "show", summary="show records of answers", epilog=EPILOG)
    parser.add_argument("--tenant", default="", metavar="NAME", help="of this tenant alone")
    parser.add_argument("--since", type=read_time, metavar="TIME", help="from then, ISO 8601")
    parser.add_argument("--until", type=read_time, metavar="TIME", help="until then, excluded")
    parser.add_argument("--answer", default="", metavar="ID", help="of this answer alone")
    parser.add_argument("--changes", action="store_true", help="what was done to tenants instead")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def read_time(text: str) -> datetime:
    """Read a moment; without a time zone it is in UTC.

    Raises:
        argparse.ArgumentTypeError: When it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time; expected 2026-11-24 or 2026-11-24T08:00+08:00"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def run(arguments: argparse.Namespace) -> int:
    """Show them, the oldest first."""
    from tame_router.audit.lookup import Wanted

    wanted = Wanted(
        tenant=arguments.tenant,
        since=arguments.since,
        until=arguments.until,
        answer_id=arguments.answer,
        changes=arguments.changes,
    )
    with opened(arguments) as books:
        for kept in books.archive.find(wanted):
            value = json.loads(kept.line)
            if arguments.json:
                if kept.question is not None:
                    value |= {"question": kept.question, "answer": kept.answer}
                sys.stdout.write(json.dumps(value) + "\n")
            else:
                row = _change(value) if arguments.changes else _row(value)
                sys.stdout.write(plain("  ".join(row)) + "\n")
    return 0


def _change(value: dict[str, Any]) -> list[str]:
    done = "changed" if value["before"] and value["after"] else "made"
    if not value["after"]:
        done = "taken away"
    fields = ", ".join(value["after"]) if done == "changed" else ""
    who = f"by {value['by']}"
    what = f"{value['what']} {value['name']}"
    return [value["begin_time"], value["tenant"], what, f"{done} {fields}".rstrip(), who]


def _row(value: dict[str, Any]) -> list[str]:
    tokens = sum(s["prompt_tokens"] + s["completion_tokens"] for s in value["steps"])
    expert = value["experts"][0]["expert"] if value["experts"] else "-"
    who = f"{value['tenant']}/{value['subject']}"
    return [
        value["begin_time"],
        value["answer_id"],
        who,
        expert,
        value["outcome"],
        f"{tokens} tokens",
        f"{value['elapsed_s']:.3f} s",
    ]
