"""A report as Markdown: tables for a pull request or a model card."""

import re
from collections.abc import Iterable, Sequence

from tame_router.evaluation.mistake import Mistake
from tame_router.evaluation.report import Report
from tame_router.evaluation.section import Section, confusion_section, headlines, sections

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def render_markdown(report: Report) -> str:
    """Write a report as Markdown; texts of questions are escaped."""
    parts = [
        f"# Router evaluation\n\n{report.questions:,} questions · classifier"
        f" `{report.classifier_digest[:16] or 'unknown'}`",
        _table(
            ("figure", "value", "95 % interval", "meaning"),
            ((h.name, h.value, h.interval, h.meaning) for h in headlines(report)),
        ),
    ]
    parts += [_section(s) for s in (*sections(report), confusion_section(report)) if s.rows]
    if report.mistakes:
        lines = "\n".join(_mistake(mistake) for mistake in report.mistakes)
        parts.append(f"## Worst mistakes\n\n{lines}")
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    return f"## {section.title}\n\n{_table(section.columns, section.rows)}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ("---", *["--:"] * (len(columns) - 1))]
    lines += [tuple(_escape(word) for word in row) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mistake(mistake: Mistake) -> str:
    expected = _escape(", ".join(mistake.expected))
    features = "  ".join(f"{f.text} {f.weight:+.2f}" for f in mistake.features)
    top = mistake.probabilities[0]
    return (
        f"- {_escape(mistake.text)}\n"
        f"  - **{_escape(mistake.lead)}** for {expected}; {top.expert} {top.probability:.1%}\n"
        f"  - {_escape(features) or 'nothing known in it'}"
    )


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
