"""`tame route`: who would answer, decided here, without a server."""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.stranger_text import shown
from tame_router.errors import InvalidRequestError
from tame_router.evaluation.rows import Row, check_row, open_rows, read_rows

if TYPE_CHECKING:
    from tame_router.routing.decision import Decision
    from tame_router.routing.router import Router

EPILOG = """\
With --input, or in a pipe, one JSON object a line: the input's other keys kept, plus
`expert`, `experts`, `probabilities`, `stage`, `elapsed_us`.

examples:
  tame route "手術失敗可以告醫院嗎？"
  tame route "gate driver 怎麼選" "押金不退怎麼辦"
  tame route --input questions.jsonl > decisions.jsonl
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "route", summary="tell who would answer", epilog=EPILOG)
    parser.add_argument("text", nargs="*", help="questions")
    parser.add_argument(
        "--input", type=Path, metavar="FILE", help="JSON lines, each with a `text`; `-`: stdin"
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Decide for each text.

    Raises:
        InvalidRequestError: When there is nothing to decide, or the input is not JSON lines.
    """
    if bool(arguments.text) == bool(arguments.input):
        raise InvalidRequestError("give questions, or --input FILE with one a line; not both")
    from tame_router import app
    from tame_router.config_file import load_settings
    from tame_router.evaluation.outcome import decide
    from tame_router.telemetry import log
    from tame_router.trained_router import build_router

    # Opened before the router is loaded, or trained: a wrong path is told at once.
    file = open_rows(arguments.input) if arguments.input else None
    settings = load_settings(arguments.config)
    log.configure(settings.log)  # tells when the router has to be trained first
    router = build_router(settings, app.build_catalog(settings))
    if file:
        _route_rows(router, read_rows(arguments.input, file))
        return 0
    rows = [check_row(f"text {n}", {"text": t}) for n, t in enumerate(arguments.text, 1)]
    if arguments.json or not sys.stdout.isatty():
        _route_rows(router, rows)
    else:
        for text in arguments.text:
            _show(text, decide(router, text, explain=True))
    return 0


def _route_rows(router: "Router", rows: Iterable[Row]) -> None:
    from tame_router.evaluation.decision_row import decision_row
    from tame_router.evaluation.outcome import decide, outcome_of

    for row in rows:
        outcome = outcome_of(decide(router, row.values["text"]))
        document = decision_row(row.values, outcome)
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")


def _show(text: str, decision: "Decision") -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(f"[bold]{shown(text)}[/]")
    for p in decision.probabilities:
        bar = "█" * round(p.probability * 30)
        style = "bold cyan" if p.expert == decision.lead else "dim"
        console.print(f"  [{style}]{p.expert:<16} {p.probability:6.1%} {bar}[/]")
    features = shown("  ".join(f"{f.text}{f.weight:+.2f}" for f in decision.features))
    console.print(
        f"  [dim]{decision.reason} · {decision.stage} · {decision.elapsed_us} µs · {features}[/]\n"
    )
