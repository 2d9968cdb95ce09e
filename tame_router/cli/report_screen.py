"""A report on the terminal."""

import sys
from typing import TYPE_CHECKING

from tame_router.cli.stranger_text import shown

if TYPE_CHECKING:
    from rich.console import Console

    from tame_router.evaluation.report import Report
    from tame_router.evaluation.section import Section

PIPE_CHARS = 250
"""Width of tables that nobody's window bounds."""

TEXT_CHARS = 100
"""Characters of a question that are shown."""


def wide_console() -> "Console":
    """Give a console on standard output that cuts no table short in a pipe."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_CHARS
    return Console(highlight=False, soft_wrap=True, width=width)


def show_report(report: "Report") -> None:
    """Write a report to standard output: figures, tables, worst mistakes."""
    from tame_router.evaluation.section import Section, confusion_section, headlines, sections

    console = wide_console()
    figures = Section(
        title=f"{report.questions:,} questions, classifier {report.classifier_digest[:16]}",
        columns=("figure", "value", "95 % interval"),
        rows=tuple((h.name, h.value, h.interval) for h in headlines(report)),
    )
    for section in (figures, *sections(report), confusion_section(report)):
        if section.rows:
            _show_section(console, section)
    if report.mistakes:
        console.print("[bold]Worst mistakes: sure, and wrong[/]")
        _show_mistakes(console, report)


def _show_section(console: "Console", section: "Section") -> None:
    from rich.table import Table

    console.print(f"[bold]{shown(section.title)}[/]")
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for number, column in enumerate(section.columns):
        table.add_column(shown(column), justify="right" if number else "left", no_wrap=True)
    for row in section.rows:
        table.add_row(*map(shown, row))
    console.print(table)
    console.print()


def _show_mistakes(console: "Console", report: "Report") -> None:

    for mistake in report.mistakes:
        text = " ".join(mistake.text.split())
        text = text if len(text) <= TEXT_CHARS else f"{text[: TEXT_CHARS - 1]}…"
        top = mistake.probabilities[0]
        features = "  ".join(f"{f.text}{f.weight:+.2f}" for f in mistake.features)
        console.print(
            f"  [red]{shown(mistake.lead)}[/] for {shown(', '.join(mistake.expected))}"
            f" [dim]({shown(top.expert)} {top.probability:.1%})[/] {shown(text)}"
        )
        console.print(f"    [dim]{shown(features)}[/]")
