"""`tame router evaluate`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.output_file import check_writable, write_file
from tame_router.errors import InvalidRequestError

if TYPE_CHECKING:
    from tame_router.evaluation.outcome import Trial
    from tame_router.evaluation.report import Report

WORST = 20
"""Mistakes that are shown."""

EPILOG = """\
Each line of a FILE is a JSON object with a `text` and a `domain`, `domains` where it spans
several, or `ood_topic` where it is of no expert's domain; `id`, `lang`, `style` and
`source` may stand beside them.

examples:
  tame router evaluate questions.jsonl
  tame router evaluate dev.jsonl ood.jsonl --html report.html --decisions after.jsonl
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "evaluate", summary="measure it with questions of known answers", epilog=EPILOG
    )
    parser.add_argument("file", nargs="+", type=Path, metavar="FILE", help="JSON lines")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write it with plots there")
    parser.add_argument(
        "--decisions", type=Path, metavar="FILE", help="write each decision, for `compare`"
    )
    parser.add_argument(
        "--worst", type=_count, default=WORST, metavar="N", help=f"mistakes shown ({WORST})"
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, show the report, and write it where asked.

    Raises:
        InvalidRequestError: When the questions cannot be used or a file not be written.
        ConfigError: When a page is asked for and its packages are missing.
    """
    _check_outputs(arguments)
    report, trials = _measure(arguments)
    if arguments.decisions:
        write_file(arguments.decisions, _decision_lines(trials))
    if arguments.markdown:
        from tame_router.evaluation.markdown import render_markdown

        write_file(arguments.markdown, render_markdown(report))
    if arguments.html:
        from tame_router.evaluation.page import render_page

        write_file(arguments.html, render_page(report))
    if arguments.json:
        from tame_router.evaluation.report import report_document

        sys.stdout.write(json.dumps(report_document(report), ensure_ascii=False) + "\n")
    else:
        from tame_router.cli.report_screen import show_report

        show_report(report)
    return 0


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no count; expected 0 or more")
    return int(text)


def _check_outputs(arguments: argparse.Namespace) -> None:
    outputs = [p for p in (arguments.markdown, arguments.html, arguments.decisions) if p]
    inputs = {path.resolve() for path in arguments.file}
    for path in outputs:
        check_writable(path)
        if path.resolve() in inputs:
            raise InvalidRequestError(f"{path}: holds the questions; give another file to write")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise InvalidRequestError("two reports would go to one file; give each its own")
    if arguments.html:
        from tame_router.evaluation.library import require_installed

        require_installed()


def _measure(arguments: argparse.Namespace) -> "tuple[Report, Sequence[Trial]]":
    from tame_router import app
    from tame_router.config_file import load_settings
    from tame_router.evaluation.mistake import explain_mistakes, worst_mistakes
    from tame_router.evaluation.outcome import decide, examine
    from tame_router.evaluation.question import read_questions
    from tame_router.evaluation.report import measure
    from tame_router.telemetry import log
    from tame_router.trained_router import build_router

    settings = load_settings(arguments.config)
    log.configure(settings.log)  # tells when the router has to be trained first
    catalog = app.build_catalog(settings)
    questions = read_questions(arguments.file, catalog.names, settings.routing.fallback)
    router = build_router(settings, catalog)
    trials = examine(router, questions)
    report = measure(
        trials,
        experts=router.experts,
        fallback=settings.routing.fallback,
        classifier_digest=decide(router, questions[0].text).classifier_digest,
        mistakes=explain_mistakes(router, worst_mistakes(trials, arguments.worst)),
    )
    return report, trials


def _decision_lines(trials: "Sequence[Trial]") -> str:
    from tame_router.evaluation.decision_row import decision_row

    rows = (decision_row(trial.question.row, trial.outcome) for trial in trials)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
