"""`tame config show | schema`."""

import argparse
import sys

from tame_router.cli.arguments import Commands, add_command, add_config

EPILOG = """\
examples:
  tame config show                              the settings in force, secrets masked
  tame config schema > tame.schema.json         for the editor's completion
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "config", summary="show the configuration", epilog=EPILOG)
    below = parser.add_subparsers(metavar="COMMAND", required=True)
    show = add_command(
        below, "show", summary="print the settings in force, secrets masked", epilog=EPILOG
    )
    add_config(show)
    show.set_defaults(run=run_show)
    schema = add_command(
        below, "schema", summary="print the JSON schema of the file", epilog=EPILOG
    )
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
