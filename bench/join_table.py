"""How the figures of `bench/join_quality.py` look: JSON, Markdown, and pages to read by hand.

Takes values and gives text; reads and writes no file.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.join_ways import FIRST, SECOND
from bench.page_place import Place
from bench.pair_question import PairQuestion, normalise
from bench.pair_score import Figures, Reply, gain, together, weigh
from tame_router.evaluation.bootstrap import Estimate

TWICE = "both experts, one after the other"
"""Made of the two experts' own answers: what a join has to be worth its tokens against."""

ALL = "all"
"""Heading of the figures over all pairs."""

PLACE = Place(begin="<!-- joins: written by bench/join_quality.py -->", end="<!-- /joins -->")

HEAD = (
    "| way | questions | failed | facts found | beside the first expert alone | lead side "
    "| other side | something of both | experts | tokens read | tokens written | seconds |\n"
    "|---|" + "--:|" * 11
)


def document(questions: Sequence[PairQuestion], replies: Iterable[Reply]) -> dict[str, Any]:
    """Give all figures as one JSON object.

    Args:
        questions: All that were asked.
        replies: What came of them, in any order.

    Returns:
        `groups`: by `all`, language and pair, and then by way, the figures; `gains`: by group
        and way, how much more of the facts it finds than the first expert alone.
    """
    known = {question.id: question for question in questions}
    by_way = _by_way(replies)
    groups: dict[str, dict[str, Any]] = {}
    gains: dict[str, dict[str, Any]] = {}
    for group, members in _groups(questions).items():
        kept = {
            way: [reply for reply in found if reply.question in members]
            for way, found in by_way.items()
        }
        groups[group] = {way: _rounded(weigh(known, found)) for way, found in kept.items() if found}
        compared = {
            way: gain(known, kept.get(FIRST, []), found)
            for way, found in kept.items()
            if way != FIRST
        }
        gains[group] = {way: _share(found) for way, found in compared.items() if found}
    return {"questions": len(questions), "groups": groups, "gains": gains}


def markdown(found: Mapping[str, Any]) -> str:
    """Draw a table for each group of questions."""
    parts = []
    for group, ways in found["groups"].items():
        gains = found["gains"][group]
        rows = [_row(way, figures, gains.get(way)) for way, figures in ways.items()]
        parts.append(f"### {group}\n\n{HEAD}\n" + "\n".join(rows))
    return "\n\n".join(parts)


def pages(questions: Sequence[PairQuestion], replies: Iterable[Reply]) -> str:
    """Write every answer below its question, with the facts that were found, for reading."""
    by_way = _by_way(replies)
    parts = []
    for question in questions:
        parts.append(f"## {question.id}\n\n{question.question}")
        parts += [
            _answer(question, way, reply)
            for way, found in by_way.items()
            for reply in found
            if reply.question == question.id
        ]
    return "\n\n".join(parts) + "\n"


def _answer(question: PairQuestion, way: str, reply: Reply) -> str:
    text = normalise(reply.text)
    checks = "\n".join(
        f"- [{'x' if fact.found(text) else ' '}] {side}: {fact.fact}"
        for side, facts in question.facts.items()
        for fact in facts
    )
    said = "\n".join(f"> {line}" for line in (reply.fault or reply.text.strip()).splitlines())
    return f"### {way} ({', '.join(reply.experts) or 'base model'})\n\n{said}\n\n{checks}"


def _by_way(replies: Iterable[Reply]) -> dict[str, list[Reply]]:
    by_way: dict[str, list[Reply]] = {}
    for reply in replies:
        by_way.setdefault(reply.way, []).append(reply)
    seconds = {reply.question: reply for reply in by_way.get(SECOND, [])}
    twice = [
        together(TWICE, first, seconds[first.question])
        for first in by_way.get(FIRST, [])
        if first.question in seconds
    ]
    return {**by_way, TWICE: twice} if twice else by_way


def _groups(questions: Sequence[PairQuestion]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {ALL: {question.id for question in questions}}
    for question in questions:
        groups.setdefault(question.lang, set()).add(question.id)
    for question in questions:
        groups.setdefault(question.pair, set()).add(question.id)
    return groups


def _rounded(figures: Figures) -> dict[str, Any]:
    values = {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in asdict(figures).items()
    }
    return values | {"facts": _share(figures.facts)}


def _share(estimate: Estimate) -> dict[str, float]:
    return {
        "value": round(estimate.value, 4),
        "low": round(estimate.low, 4),
        "high": round(estimate.high, 4),
    }


def _row(way: str, figures: Mapping[str, Any], gained: Mapping[str, float] | None) -> str:
    facts = figures["facts"]
    more = "–"
    if gained:
        more = f"{gained['value']:+.1%} ({gained['low']:+.1%} – {gained['high']:+.1%})"
    cells = (
        way,
        str(figures["asked"]),
        str(figures["failed"]),
        f"{facts['value']:.1%} ({facts['low']:.1%} – {facts['high']:.1%})",
        more,
        *(f"{figures[name]:.1%}" for name in ("lead", "other", "both")),
        f"{figures['experts']:.2f}",
        *(f"{figures[name]:.0f}" for name in ("prompt_tokens", "completion_tokens")),
        f"{figures['elapsed_s']:.1f}",
    )
    return f"| {' | '.join(cells)} |"
