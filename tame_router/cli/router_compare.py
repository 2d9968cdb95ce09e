"""`tame router compare`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.report_screen import wide_console
from tame_router.cli.stranger_text import shown

if TYPE_CHECKING:
    from rich.console import Console

    from tame_router.evaluation.comparison import Change, Comparison

NAMES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro-F1",
    "multi": "All experts found",
    "out_of_domain": "Out of domain",
}

SHOWN = 20
"""Changed questions of each direction that are shown; JSON has all."""

EPILOG = """\
A and B are decisions about the same questions, as `tame route --input questions.jsonl` and
`tame router evaluate --decisions` write them. Questions are matched by `id`, else by text.
The interval is a paired bootstrap's: where it leaves out 0, the difference is hardly luck.

examples:
  tame router compare before.jsonl after.jsonl
  tame router compare before.jsonl after.jsonl --json
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "compare", summary="tell whether one is better than another", epilog=EPILOG
    )
    parser.add_argument("a", type=Path, metavar="A", help="decisions of one router")
    parser.add_argument("b", type=Path, metavar="B", help="decisions of the other")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, and show the differences.

    Raises:
        InvalidRequestError: When a file cannot be used, or the questions are not the same.
    """
    import dataclasses

    from tame_router.config_file import load_settings
    from tame_router.evaluation.comparison import compare
    from tame_router.evaluation.decision_row import read_decisions
    from tame_router.evaluation.report import as_json

    fallback = load_settings(arguments.config).routing.fallback
    compared = compare(read_decisions(arguments.a, fallback), read_decisions(arguments.b, fallback))
    if arguments.json:
        document = as_json(dataclasses.asdict(compared))
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        _show(compared)
    return 0


def _show(compared: "Comparison") -> None:
    from rich.table import Table

    console = wide_console()
    console.print(f"[bold]{compared.questions:,} questions[/]")
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for number, column in enumerate(("figure", "A", "B", "B - A", "95 % interval", "verdict")):
        table.add_column(column, justify="right" if 0 < number < 5 else "left", no_wrap=True)
    for name, d in compared.figures.items():
        verdict = f"{'B' if d.value > 0 else 'A'} is better" if d.certain else "not told apart"
        interval = f"{100 * d.low:+.1f} to {100 * d.high:+.1f}"
        table.add_row(
            NAMES[name], f"{d.a:.1%}", f"{d.b:.1%}", f"{100 * d.value:+.1f}", interval, verdict
        )
    console.print(table)
    _show_changes(console, "right in B only", compared.mended)
    _show_changes(console, "right in A only", compared.broken)


def _show_changes(console: "Console", title: str, changes: "Sequence[Change]") -> None:

    console.print(f"\n[bold]{len(changes):,} {title}[/]")
    for change in changes[:SHOWN]:
        a, b, expected = (", ".join(names) for names in (change.a, change.b, change.expected))
        console.print(shown(f"  {' '.join(change.text.split())}"))
        console.print(f"    [dim]{shown(f'A: {a} · B: {b} · right: {expected}')}[/]")
    if len(changes) > SHOWN:
        console.print(f"  [dim]… {len(changes) - SHOWN:,} more; --json has all[/]")
