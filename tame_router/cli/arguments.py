"""Arguments that several commands share."""

import argparse
from pathlib import Path
from typing import TypeAlias

DEFAULT_SERVER = "127.0.0.1:50051"


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""Where commands are added; generic in the stubs only."""


def add_command(
    commands: Commands, name: str, *, summary: str, epilog: str
) -> argparse.ArgumentParser:
    """Add a command whose help ends with examples.

    Args:
        commands: Where to add it.
        name: Its name.
        summary: What it does, for the list of commands and its own help.
        epilog: Further words and examples.
    """
    return commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """Let a command be given a configuration file."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration file (default: $TAME_CONFIG, else tame.yaml where it exists)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let a command write JSON for machines."""
    parser.add_argument("--json", action="store_true", help="write JSON, one object a line")
