"""`tame audit prune`: drop what is older than the policy keeps."""

import argparse
import json
import os
import sys
from datetime import UTC, datetime, timedelta

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.audit_archive import opened

EPILOG = """\
Drops records older than audit.retention_days, and texts whose tenant's days are over. What
is left still verifies, and use by the day stays; that it was done is recorded. Run it once a
day.

examples:
  tame audit prune
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "prune", summary="drop old records and texts", epilog=EPILOG)
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Drop them."""
    from tame_router.audit.pruning import Order

    now = datetime.now(UTC)
    with opened(arguments) as books:
        retention = timedelta(days=books.settings.audit.retention_days)
        pruned = books.archive.prune(
            Order(now=now, retention=retention, by=f"command/{os.getuid()}")
        )
    if arguments.json:
        told = json.dumps({"records": pruned.records, "texts": pruned.texts})
    else:
        told = f"dropped {pruned.records} records and {pruned.texts} texts"
    sys.stdout.write(f"{told}\n")
    return 0
