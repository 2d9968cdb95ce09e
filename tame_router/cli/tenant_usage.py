"""`tame tenant usage`: what a tenant has used, by the day and the expert."""

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.stranger_text import plain

DAYS = 30
"""How far back it looks where nothing else is said."""

EPILOG = """\
Days are UTC days, and count even where the records themselves are pruned.

examples:
  tame tenant usage hospital
  tame tenant usage --since 2026-11-01 --until 2026-11-30 --json
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "usage", summary="show what tenants have used", epilog=EPILOG)
    parser.add_argument("tenant", nargs="?", default="", metavar="NAME", help="default: all")
    for name, text in (("--since", "first day (default: 30 ago)"), ("--until", "last day")):
        parser.add_argument(name, type=_day, metavar="DAY", help=text)
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; expected 2026-11-24") from None


def run(arguments: argparse.Namespace) -> int:
    """Show it."""
    from tame_router.audit.store import AuditStore
    from tame_router.config_file import load_settings
    from tame_router.store import Database

    settings = load_settings(arguments.config)
    last = arguments.until or datetime.now(UTC)
    first = arguments.since or last - timedelta(days=DAYS)
    database = Database(settings.store, settings.state_dir)
    try:
        found = AuditStore(database).usage(arguments.tenant, first.date(), last.date())
    finally:
        database.close()
    for usage in found:
        facts = {**asdict(usage), "day": usage.day.isoformat()}
        if arguments.json:
            sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
            continue
        row = (
            f"{usage.day}  {usage.tenant}  {usage.expert or '-'}  {usage.requests} requests,"
            f" {usage.failures} failed, {usage.prompt_tokens} + {usage.completion_tokens} tokens"
        )
        sys.stdout.write(plain(row) + "\n")
    return 0
