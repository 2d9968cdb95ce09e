"""`tame ask`: a question to a running router, its answer as it is written."""

import argparse
import dataclasses
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tame_router.cli.arguments import DEFAULT_SERVER, Commands, add_command, add_json
from tame_router.cli.server_access import add_access, connection_options, read_text_file

if TYPE_CHECKING:
    from tame_router.chat import Document, ResponseFormat
    from tame_router.client.event import Event

LONGEST_TIMEOUT_S = 86_400
JOINS = ("single", "panel", "second_opinion", "fuse", "vote", "best_of")

EPILOG = """\
The answer goes to standard output; who answers, and the summary, to standard error.

examples:
  tame ask "租約到期房東不退押金怎麼辦？"
  tame ask --expert medical "Is a fever of 38.5 dangerous?"
  echo "什麼是 PID 控制？" | tame ask -
  tame ask --json "hello" | jq -r 'select(.event == "delta").text'
  tame ask --join fuse --experts 2 "手術失敗造成後遺症，可以告醫院求償嗎？"
  tame ask --join panel --interleaved --deny general "被熱油燙傷，老闆要賠嗎？怎麼急救？"
  tame ask --document contract.txt "押金何時該退？"
  tame ask --key-file key --tls-ca ca.pem --server tame.example:50051 "hello"

The key, where the router wants one, is read from --key-file or from $TAME_API_KEY; never
from the command line, which others can see.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "ask", summary="ask a running router", epilog=EPILOG)
    parser.add_argument("text", help="the question; `-` reads it from standard input")
    parser.add_argument(
        "--expert", default="", help="who must answer (default: the router decides)"
    )
    parser.add_argument(
        "--revision",
        default="",
        metavar="NAME",
        help="which adapter revision of --expert must answer (default: the live one)",
    )
    _add_wishes(parser)
    parser.add_argument(
        "--no-fallback",
        action="store_true",
        help="fail rather than have another answer for an expert whose server is gone",
    )
    parser.add_argument(
        "--document",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a text that the answer is to rest on; may be given several times",
    )
    parser.add_argument(
        "--json-schema",
        type=Path,
        metavar="FILE",
        help="hold the answer to the JSON schema in this file",
    )
    parser.add_argument(
        "--server",
        default=DEFAULT_SERVER,
        metavar="HOST:PORT",
        help=f"the router (default: {DEFAULT_SERVER})",
    )
    add_access(parser)
    parser.add_argument("--max-tokens", type=int, metavar="N", help="longest answer, in tokens")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=300,
        metavar="SECONDS",
        help="give up after (default: 300)",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def _add_wishes(parser: argparse.ArgumentParser) -> None:
    """Let the caller say who of several experts answers, and how."""
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="NAME",
        help="an expert that may answer; may be given several times (default: all may)",
    )
    parser.add_argument(
        "--deny",
        action="append",
        default=[],
        metavar="NAME",
        help="an expert that must not answer; may be given several times",
    )
    parser.add_argument(
        "--join",
        choices=JOINS,
        default="",
        help="how several experts' answers become one (default: the router decides)",
    )
    parser.add_argument(
        "--experts",
        type=int,
        metavar="N",
        help="how many experts are asked, with a --join of several; at most so many without",
    )
    parser.add_argument(
        "--drafts", action="store_true", help="also show the drafts that an answer is made from"
    )
    parser.add_argument(
        "--interleaved",
        action="store_true",
        help="show a panel's parts at the same time, each sentence with who says it",
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= LONGEST_TIMEOUT_S:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds above 0, at most {LONGEST_TIMEOUT_S}"
        )
    return value


def run(arguments: argparse.Namespace) -> int:
    """Ask, and show the events."""
    from rich.console import Console

    from tame_router.chat import Sampling
    from tame_router.cli.answer_screen import AnswerScreen
    from tame_router.client.client import Client
    from tame_router.client.request import Options

    text = sys.stdin.read() if arguments.text == "-" else arguments.text
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    screen = AnswerScreen(console, interleaved=arguments.interleaved)
    show = _write_json if arguments.json else screen
    options: Options = {
        "expert": arguments.expert,
        "revision": arguments.revision,
        "allow": arguments.allow,
        "deny": arguments.deny,
        "join": arguments.join,
        "max_experts": arguments.experts,
        "interleaved": arguments.interleaved,
        "drafts": arguments.drafts,
        "no_fallback": arguments.no_fallback,
        "sampling": Sampling(max_tokens=arguments.max_tokens),
        "documents": [_document(path) for path in arguments.document],
        "response_format": _schema(arguments.json_schema) if arguments.json_schema else None,
    }
    with (
        Client(arguments.server, **connection_options(arguments)) as client,
        client.stream(text, timeout_s=arguments.timeout, **options) as events,
    ):
        try:
            for event in events:
                show(event)
        finally:
            screen.break_off()
    return 0


def _document(path: Path) -> "Document":
    from tame_router.chat import Document

    return Document(text=read_text_file(path, "--document"), title=path.name)


def _schema(path: Path) -> "ResponseFormat":
    from tame_router.chat import Format, ResponseFormat

    text = read_text_file(path, "--json-schema")
    return ResponseFormat(format=Format.JSON_SCHEMA, name="answer", schema=text)


def _write_json(event: "Event") -> None:
    document = {"event": _snake(type(event).__name__), **dataclasses.asdict(event)}
    sys.stdout.write(json.dumps(document, ensure_ascii=False, default=_plain) + "\n")
    sys.stdout.flush()


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _plain(value: Any) -> Any:
    """Write a length of time in seconds, and the tokens of a step."""
    from msgspec import to_builtins

    return value.total_seconds() if isinstance(value, timedelta) else to_builtins(value)
