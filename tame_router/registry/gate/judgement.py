"""What a gate's figures mean for a revision: the findings. Pure."""

from collections.abc import Sequence
from typing import Final

from tame_router.registry.finding import Finding
from tame_router.registry.gate.examination import CaseResult
from tame_router.registry.gate.report import (
    Comparison,
    Latency,
    Measure,
    Memory,
    Purity,
    Verdict,
)
from tame_router.registry.reason import Reason

LEAST_CASES: Final = 10
"""Cases of its own that a revision must be asked; of fewer, an interval says nothing."""

MEMORY_RATIO: Final = 1.25
"""By how much the engine's memory may grow, where it tells."""

LEAST_TIMED: Final = 6
"""Answers whose times decide: of fewer, one interruption makes an interval that leaves out 1."""

NOTICED_S: Final = 0.005
"""Seconds a token that a reader notices; where tokens come faster than that, a ratio is noise."""

_NAMED: Final = 5  # cases that a message names; the report has them all


def judge_cases(results: Sequence[CaseResult]) -> list[Finding]:
    """Find too few cases, and cases that must be passed and were lost.

    Lost is what answers today passes, and the new revision does not.

    Args:
        results: Cases of the revision's own expert.
    """
    findings = []
    if len(results) < LEAST_CASES:
        findings.append(
            Finding(
                reason=Reason.TOO_FEW_CASES,
                message=f"the evaluation set has {len(results)} cases; expected at least"
                f" {LEAST_CASES}",
                advice="Write more cases into the expert's evaluation.jsonl.",
                path="evaluation.jsonl",
            )
        )
    lost = [
        result.case.id
        for result in results
        if result.case.must_pass and result.live.passed and not result.candidate.passed
    ]
    if lost:
        named = ", ".join(lost[:_NAMED]) + (", …" if len(lost) > _NAMED else "")
        findings.append(
            Finding(
                reason=Reason.MUST_PASS_FAILED,
                message=f"it fails {len(lost)} cases that must be passed and that what answers"
                f" today passes: {named}",
                advice="Look at the answers in the report, and train on questions of that kind.",
                path="evaluation.jsonl",
            )
        )
    return findings


def judge_comparison(comparison: Comparison, *, own: bool, live: str) -> list[Finding]:
    """Find a revision that is worse than what answers today, or a set too small to tell.

    Args:
        comparison: The figures.
        own: It is on the expert's own set.
        live: Name of what answers today; empty: the base model without adapter. An expert's first
            adapter may cost something elsewhere: that is said, and no reason to refuse it.
    """
    if comparison.verdict is Verdict.NOT_WORSE:
        return []
    text = _told(comparison, live)
    if comparison.verdict is Verdict.OPEN:
        return [
            Finding(
                reason=Reason.TOO_FEW_CASES,
                message=f"{comparison.difference.questions} cases cannot tell whether it is worse:"
                f" {text}",
                advice="Write more cases, or publish it as a canary first.",
                path="evaluation.jsonl" if own else "",
                fatal=False,
            )
        ]
    if own:
        return [
            Finding(
                reason=Reason.WORSE_THAN_LIVE,
                message=f"it is worse than what answers today: {text}",
                advice="Look at the cases it lost in the report; was it trained for this expert,"
                " on this base model, with a fitting alpha?",
            )
        ]
    return [
        Finding(
            reason=Reason.HARMS_OTHER_DOMAIN,
            message=f"it is worse on questions of another expert: {text}",
            advice="Mix general text and other domains into the training data, or train less.",
            fatal=bool(live),
        )
    ]


def judge_purity(purity: Purity | None) -> list[Finding]:
    """Find more Simplified Chinese than is let through; what answers today has as much."""
    if purity is None or purity.candidate <= purity.limit:
        return []
    return [
        Finding(
            reason=Reason.SIMPLIFIED_CHINESE,
            message=f"{purity.candidate:.2%} of the characters it writes are Simplified Chinese;"
            f" expected at most {purity.limit:.2%} (today: {purity.live:.2%})",
            advice="Convert the training data to Traditional Chinese as Taiwan writes it.",
            fatal=purity.candidate > purity.live + purity.limit,
        )
    ]


def judge_latency(latency: Latency | None) -> list[Finding]:
    """Find a revision that is slower than is let through, and not by chance."""
    if latency is None or latency.ratio.questions < LEAST_TIMED:
        return []
    if latency.ratio.value <= latency.limit or latency.ratio.low <= 1:
        return []
    if latency.candidate_s - latency.live_s < NOTICED_S:
        return []
    return [
        Finding(
            reason=Reason.TOO_SLOW,
            message=f"a token takes it {latency.ratio.value:.2f} times as long as what answers"
            f" today ({latency.candidate_s * 1e3:.0f} ms, {latency.live_s * 1e3:.0f} ms); expected"
            f" at most {latency.limit:g} times",
            advice="Use a smaller rank or fewer target modules.",
        )
    ]


def judge_memory(memory: Memory | None) -> list[Finding]:
    """Find a revision that takes the engine too much memory."""
    if memory is None or memory.after_bytes <= memory.before_bytes * MEMORY_RATIO:
        return []
    return [
        Finding(
            reason=Reason.TOO_MUCH_MEMORY,
            message=f"the engine's memory grew from {memory.before_bytes / 2**20:.0f} to"
            f" {memory.after_bytes / 2**20:.0f} MiB; expected at most {MEMORY_RATIO:g} times",
            advice="Use a smaller rank or fewer target modules.",
        )
    ]


def refused(message: str) -> Finding:
    """Find a revision that the engine cannot serve, while it serves what answers today."""
    return Finding(
        reason=Reason.ENGINE_REFUSED,
        message=f"the engine does not serve it: {message}",
        advice="Its rank, its target modules and its base model must fit the engine; the engine's"
        " log says more.",
    )


def _told(comparison: Comparison, live: str) -> str:
    difference = comparison.difference
    value = (
        f"score {comparison.candidate:.3f} against {comparison.live:.3f}"
        if comparison.measure is Measure.SCORE
        else f"loss {comparison.candidate:.3f} against {comparison.live:.3f} nats a token"
    )
    against = f" of {live}" if live else " of the base model"
    whose = f"{comparison.expert}, cases of the upload" if comparison.brought else comparison.expert
    return (
        f"{whose}: {value}{against}, difference {difference.value:+.3f}"
        f" ({difference.low:+.3f} to {difference.high:+.3f}), margin {comparison.margin:g}"
    )
