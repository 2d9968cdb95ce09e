"""`tame audit`: prove, read, export and prune the records of what was answered."""

from tame_router.cli import audit_export, audit_prune, audit_show, audit_verify
from tame_router.cli.arguments import Commands, add_command

EPILOG = """\
examples:
  tame audit verify
  tame audit show --tenant hospital --since 2026-11-24
  tame audit export --format parquet --out audit.parquet
"""


def add(commands: Commands) -> None:
    """Add the command and what is below it."""
    parser = add_command(
        commands,
        "audit",
        summary="the records of what was answered, and their proof",
        epilog=EPILOG,
    )
    below = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (audit_verify, audit_show, audit_export, audit_prune):
        command.add(below)
