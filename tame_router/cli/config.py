"""`tame config show | schema`."""

import argparse
import sys

from tame_router.cli.arguments import HELP, add_config

EPILOG = """\
examples:
  tame config show                              the settings in force, secrets masked
  tame config schema > tame.schema.json         for the editor's completion
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "config", help="show the configuration", epilog=EPILOG, formatter_class=HELP
    )
    below = parser.add_subparsers(metavar="COMMAND", required=True)
    show = below.add_parser("show", help="print the settings in force, secrets masked")
    add_config(show)
    show.set_defaults(run=run_show)
    schema = below.add_parser("schema", help="print the JSON schema of the file")
    schema.set_defaults(run=run_schema)


def run_show(arguments: argparse.Namespace) -> int:
    """Print the settings in force."""
    from tame_router.config_file import effective, load_settings

    sys.stdout.write(effective(load_settings(arguments.config)))
    return 0


def run_schema(_arguments: argparse.Namespace) -> int:
    """Print the schema."""
    from tame_router.config_file import schema

    sys.stdout.write(schema() + "\n")
    return 0
