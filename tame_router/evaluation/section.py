"""The report in words: the same headlines and tables for terminal, Markdown and page."""

from collections.abc import Mapping
from dataclasses import dataclass

from tame_router.evaluation.bootstrap import Estimate
from tame_router.evaluation.breakdown import GroupScore
from tame_router.evaluation.report import OutOfDomainFigures, Report, SingleFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A figure with what it means.

    Attributes:
        name: Its name.
        value: The figure, as it is shown.
        interval: Its 95 % interval, `low - high`; empty: it has none.
        meaning: What it says, in a few words.
    """

    name: str
    value: str
    interval: str = ""
    meaning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table with a heading.

    Attributes:
        title: The heading.
        columns: Headings of the columns; the first column names the row, `n` counts questions.
        rows: As many words as columns in each.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def headlines(report: Report) -> tuple[Headline, ...]:
    """Give the figures that stand first; those without a question are left out."""
    lines: list[Headline] = []
    if report.single:
        lines += _single_headlines(report.single)
    if report.out_of_domain:
        share = report.out_of_domain.to_fallback
        meaning = f"belongs to no expert, went to {report.fallback}"
        lines.append(_share("Out of domain", share, meaning))
    if report.multi:
        meaning = "spans several experts, all of them selected"
        lines.append(_share("All experts found", report.multi.all_found, meaning))
        meaning = "spans several experts, led by one of them"
        lines.append(_share("One of them leads", report.multi.lead_found, meaning))
    return tuple(lines)


def sections(report: Report) -> tuple[Section, ...]:
    """Give the tables, in the order in which they are read; empty ones are left out."""
    tables: list[Section] = []
    if report.single:
        tables += _single_sections(report.single)
    if report.out_of_domain:
        tables += _out_of_domain_sections(report.out_of_domain)
    tables.append(_stages(report))
    return tuple(table for table in tables if table.rows)


def confusion_section(report: Report) -> Section:
    """Give the confusion matrix as a table; without rows where there is none."""
    counts = report.single.confusion if report.single else ()
    return Section(
        title="Confusion: right expert by expert that answered",
        columns=("right", *report.experts),
        rows=tuple(
            (name, *(f"{count:,}" for count in row))
            for name, row in zip(report.experts, counts, strict=False)
        ),
    )


def percent(share: float) -> str:
    """Write a share as a percentage with one decimal."""
    return f"{share:.1%}"


def _single_headlines(single: SingleFigures) -> list[Headline]:
    return [
        _share("Accuracy", single.accuracy, "went to the right expert"),
        _share("Macro-F1", single.macro_f1, "every expert counts the same"),
        Headline(
            name="Calibration error",
            value=f"{single.calibration_error:.3f}",
            meaning="distance from probability to truth; 0 is best",
        ),
        _number("Brier score", single.brier, "0 is sure and right, 2 sure and wrong"),
        _number("AURC", single.aurc, "wrong among the surest, on average; 0 is best"),
        Headline(
            name="Several selected",
            value=percent(single.several_selected),
            meaning="of one expert, more than one selected",
        ),
    ]


def _share(name: str, figure: Estimate, meaning: str) -> Headline:
    interval = f"{percent(figure.low)} – {percent(figure.high)}"
    return Headline(name=name, value=percent(figure.value), interval=interval, meaning=meaning)


def _number(name: str, figure: Estimate, meaning: str) -> Headline:
    interval = f"{figure.low:.3f} – {figure.high:.3f}"
    return Headline(name=name, value=f"{figure.value:.3f}", interval=interval, meaning=meaning)


def _single_sections(single: SingleFigures) -> list[Section]:
    return [
        Section(
            title="By expert",
            columns=("expert", "precision", "recall", "F1", "n"),
            rows=tuple(
                (name, percent(s.precision), percent(s.recall), percent(s.f1), f"{s.questions:,}")
                for name, s in single.domains.items()
            ),
        ),
        _groups("By language", "language", "accuracy", single.languages),
        _groups("By style and language", "cell", "accuracy", single.cells),
        _groups("By source", "source", "accuracy", single.sources),
        Section(
            title="Conformal sets",
            columns=("language", "coverage", "mean size", "n"),
            rows=tuple(
                (name, percent(c.coverage), f"{c.mean_size:.2f}", f"{c.questions:,}")
                for name, c in single.coverage.items()
            ),
        ),
    ]


def _out_of_domain_sections(figures: OutOfDomainFigures) -> list[Section]:
    return [
        _groups("Out of domain, by language", "language", "to fallback", figures.languages),
        _groups("Out of domain, by topic", "topic", "to fallback", figures.topics),
    ]


def _groups(title: str, name: str, figure: str, groups: Mapping[str, GroupScore]) -> Section:
    return Section(
        title=title,
        columns=(name, figure, "n"),
        rows=tuple((key, percent(g.accuracy), f"{g.questions:,}") for key, g in groups.items()),
    )


def _stages(report: Report) -> Section:
    return Section(
        title="Stages",
        columns=("stage", "decided", "p50 µs", "p99 µs", "n"),
        rows=tuple(
            (name, percent(s.share), f"{s.p50_us:,.0f}", f"{s.p99_us:,.0f}", f"{s.questions:,}")
            for name, s in report.stages.items()
        ),
    )
