"""Arguments that several commands share."""

import argparse
from pathlib import Path

HELP = argparse.RawDescriptionHelpFormatter
DEFAULT_SERVER = "127.0.0.1:50051"


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
