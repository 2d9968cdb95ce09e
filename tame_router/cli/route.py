"""`tame route`: who would answer, decided here, without a server."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.errors import InvalidRequestError

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
    from tame_router import app, telemetry
    from tame_router.config_file import load_settings

    # Opened before the router is loaded, or trained: a wrong path is told at once.
    file = _open(arguments.input) if arguments.input else None
    settings = load_settings(arguments.config)
    telemetry.configure(settings.log)  # tells when the router has to be trained first
    router = app.build_router(settings, app.build_catalog(settings))
    if file:
        _route_rows(router, _read_rows(arguments.input, file))
        return 0
    rows = [_checked(f"text {n}", {"text": t}) for n, t in enumerate(arguments.text, 1)]
    if arguments.json or not sys.stdout.isatty():
        _route_rows(router, rows)
    else:
        for text in arguments.text:
            _show(text, _decide(router, text, explain=True))
    return 0


def _open(path: Path) -> BinaryIO:
    try:
        return sys.stdin.buffer if str(path) == "-" else path.open("rb")
    except OSError as error:
        raise InvalidRequestError(f"{path}: cannot be read: {error.strerror}") from error


def _read_rows(path: Path, file: BinaryIO) -> Iterator[dict[str, Any]]:
    with file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _read_row(f"{path}:{number}", line)


def _read_row(place: str, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InvalidRequestError(
            f"{place}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"{place}: not JSON: {error}") from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise InvalidRequestError(f'{place}: expected an object with a string "text"')
    return _checked(place, row)


def _checked(place: str, row: dict[str, Any]) -> dict[str, Any]:
    if not row["text"].strip():
        raise InvalidRequestError(f"{place}: text is empty; give it a question")
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(
            f"{place}: holds bytes or escapes that are no characters; expected UTF-8"
        ) from None
    return row


def _decide(router: "Router", text: str, *, explain: bool = False) -> "Decision":
    from tame_router.chat import Message, Role

    return router.route([Message(role=Role.USER, content=text)], explain=explain)


def _route_rows(router: "Router", rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        decision = _decide(router, row["text"])
        document = {
            **row,
            "expert": decision.lead,
            "experts": [chosen.expert for chosen in decision.experts],
            "probabilities": {p.expert: round(p.probability, 6) for p in decision.probabilities},
            "stage": str(decision.stage),
            "elapsed_us": decision.elapsed_us,
        }
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")


def _show(text: str, decision: "Decision") -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    console.print(f"[bold]{escape(text)}[/]")
    for p in decision.probabilities:
        bar = "█" * round(p.probability * 30)
        style = "bold cyan" if p.expert == decision.lead else "dim"
        console.print(f"  [{style}]{p.expert:<16} {p.probability:6.1%} {bar}[/]")
    features = escape("  ".join(f"{f.text}{f.weight:+.2f}" for f in decision.features))
    console.print(
        f"  [dim]{decision.reason} · {decision.stage} · {decision.elapsed_us} µs · {features}[/]\n"
    )
