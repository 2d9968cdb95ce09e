"""A gate's report for people: Markdown. Pure."""

from collections.abc import Iterable

from tame_router.registry.gate.case_score import CaseScore
from tame_router.registry.gate.report import Measure, Report, ReportCase

_ANSWER_CHARS = 160
"""Of an answer, on the page; the JSON has it whole."""

_CASES = 20
"""Cases that were lost, on the page."""


def page(report: Report) -> str:
    """Write a report as Markdown, its verdict first."""
    live = f"`{report.live}`" if report.live else "the base model without adapter"
    verdict = "passed" if report.passed else "refused"
    lines = [
        f"# {report.candidate}: {verdict}",
        "",
        f"Expert `{report.expert}`, against {live}; {len(report.cases)} cases,"
        f" {report.elapsed_s:.0f} s, seed {report.seed}.",
        "",
        *_findings(report),
        *_comparisons(report),
        *_domain(report),
        *_figures(report),
        *_lost(report),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _findings(report: Report) -> list[str]:
    if not report.findings:
        return []
    lines = ["## Findings", ""]
    for finding in report.findings:
        weight = "" if finding.fatal else " (a note)"
        lines.append(f"- **{finding.reason}**{weight}: {finding.message}. {finding.advice}")
    return [*lines, ""]


def _comparisons(report: Report) -> list[str]:
    if not report.comparisons:
        return []
    lines = [
        "## Against what answers today",
        "",
        "| set | measure | new | today | better by | margin | |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for one in report.comparisons:
        unit = " of it" if one.measure is Measure.LOSS else ""
        difference = one.difference
        whose = f"{one.expert}, brought" if one.brought else one.expert
        lines.append(
            f"| {whose} | {one.measure} | {one.candidate:.3f} | {one.live:.3f} |"
            f" {difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}){unit} |"
            f" {one.margin:g} | {one.verdict.replace('_', ' ')} |"
        )
    return [*lines, ""]


def _domain(report: Report) -> list[str]:
    outlook = report.domain
    if outlook is None:
        return []
    rows = [
        f"| {expert} | {asked} | {outlook.taken.get(expert, 0)} |"
        f" {outlook.ambiguous.get(expert, 0)} | {outlook.alike.get(expert, 0)} |"
        for expert, asked in outlook.asked.items()
    ]
    return [
        "## The new domain in the router",
        "",
        f"Learnt from {outlook.lines} teaching lines; it leads {outlook.recall:.0%} of them where"
        " they are held out.",
        "",
        "| expert | its teaching lines | taken | made ambiguous | lines almost alike |",
        "|---|--:|--:|--:|--:|",
        *rows,
        "",
    ]


def _figures(report: Report) -> list[str]:
    lines = []
    if purity := report.purity:
        lines.append(
            f"- Simplified characters: {purity.candidate:.2%} (today {purity.live:.2%}, at most"
            f" {purity.limit:.2%})."
        )
    if latency := report.latency:
        ratio = latency.ratio
        lines.append(
            f"- Time a token: {latency.candidate_s * 1e3:.0f} ms (today"
            f" {latency.live_s * 1e3:.0f} ms), {ratio.value:.2f} times ({ratio.low:.2f} to"
            f" {ratio.high:.2f}), at most {latency.limit:g}."
        )
    if memory := report.memory:
        lines.append(
            f"- Memory: {memory.before_bytes / 2**20:.0f} MiB before,"
            f" {memory.after_bytes / 2**20:.0f} MiB after."
        )
    elif report.cases:
        lines.append("- Memory: the engine does not tell.")
    return ["## Other figures", "", *lines, ""] if lines else []


def _lost(report: Report) -> list[str]:
    lost = [case for case in report.cases if case.live.passed and not case.candidate.passed]
    lost = [case for case in lost if case.expert == report.expert]
    if not lost:
        return []
    lines = [f"## Cases that it loses ({len(lost)})", "", "| case | new | today |", "|---|---|---|"]
    lines += _rows(lost[:_CASES])
    return [*lines, ""]


def _rows(cases: Iterable[ReportCase]) -> list[str]:
    return [
        f"| {case.id}{' (must pass)' if case.must_pass else ''} | {_told(case.candidate)} |"
        f" {_told(case.live)} |"
        for case in cases
    ]


def _told(score: CaseScore) -> str:
    """Tell a value and the beginning of what was written, on one line of a table."""
    text = " ".join(score.text.split())[:_ANSWER_CHARS]
    text = "".join("\\" + mark if mark in "|\\`*_<>[]" else mark for mark in text)
    value = "" if score.score is None else f"{score.score:.2f}"
    return f"{value} {text}".strip()
