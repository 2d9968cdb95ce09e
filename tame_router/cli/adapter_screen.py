"""A revision for people: on the terminal, and as Markdown."""

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tame_router.cli.adapter_desk import finding_text, size_text
from tame_router.cli.stranger_text import plain
from tame_router.cli.tenant_desk import time_text

if TYPE_CHECKING:
    from tame_router.client.adapter import Revision


def show_revision(revision: "Revision", role: str | None = None) -> None:
    """Write a revision to standard output: its facts, what was found, its report.

    Args:
        revision: The revision.
        role: Whom it answers now, as `live` or `canary 10%`; empty: nobody; None:
            whoever shows it has not asked.
    """
    for name, value in _facts(revision, role):
        sys.stdout.write(f"{name:<12} {plain(value)}\n")
    for finding in revision.findings:
        word = "refused" if finding.fatal else "note"
        sys.stdout.write(plain(f"{word:<12} {finding_text(finding)}") + "\n")
    page = _page(revision)
    if page and sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console(highlight=False).print(Markdown(page))
    elif page:
        sys.stdout.write("\n" + page)
    for name, value in _figures(revision):
        sys.stdout.write(plain(f"{name}: {value}") + "\n")


def markdown(revision: "Revision", role: str | None = None) -> str:
    """Write a revision as Markdown; `role` as `show_revision` takes it."""
    lines = [f"# {revision.name}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in _facts(revision, role)]
    lines += ["", "## Files", "", "| path | size | SHA-256 |", "|---|--:|---|"]
    lines += [
        f"| `{_cell(file.path)}` | {size_text(file.size_bytes)} | `{file.sha256}` |"
        for file in revision.files
    ]
    if revision.findings:
        lines += [
            "",
            "## Findings",
            "",
            "| | reason | file | what | advice |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {'refused' if f.fatal else 'note'} | `{f.reason}` | {_cell(f.path)}"
            f" | {_cell(f.message)} | {_cell(f.advice)} |"
            for f in revision.findings
        ]
    figures = list(_figures(revision))
    if figures:
        lines += ["", "## Evaluation", "", "| figure | value |", "|---|---|"]
        lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in figures]
    page = _page(revision)
    if page:
        # One level below the revision's own heading.
        lines += ["", *(f"#{line}" if line.startswith("#") else line for line in page.splitlines())]
    return "\n".join(lines) + "\n"


def _facts(revision: "Revision", role: str | None) -> Iterator[tuple[str, str]]:
    yield "name", revision.name
    yield "expert", revision.expert
    yield "state", revision.state + (", withdrawn" if revision.withdrawn else "")
    if role is not None:
        yield "role", role or "none"
    yield "digest", revision.digest
    yield "brought by", f"{revision.tenant}/{revision.subject}"
    yield "signed by", revision.signer or "nobody"
    yield "size", f"{size_text(revision.size_bytes)}, {len(revision.files)} files"
    yield "uploaded", time_text(revision.create_time)
    yield "changed", time_text(revision.update_time)


def _page(revision: "Revision") -> str:
    """Give the gate's report as a page; empty: there is none, or one of another form."""
    from tame_router.registry.gate.report import read_report
    from tame_router.registry.gate.report_page import page

    try:
        lines = page(read_report(revision.report)).splitlines()
    except ValueError:
        return ""
    return "".join(f"{plain(line)}\n" for line in lines)


def _figures(revision: "Revision") -> Iterator[tuple[str, str]]:
    """Give the figures of a report of another form, whatever it holds, each with the way to it."""
    if not revision.report or _page(revision):
        return
    try:
        yield from _below("", json.loads(revision.report))
    except ValueError:
        yield "report", revision.report


def _below(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _below(f"{path}.{name}" if path else name, below)
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _below(f"{path}[{number}]", below)
    else:
        yield path, f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    """Keep a text inside its cell."""
    return plain(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
