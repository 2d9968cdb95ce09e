"""Compares two revisions by the same cases: a paired bootstrap, and what it shows. Pure."""

import math
import statistics
from collections.abc import Sequence

import numpy as np

from tame_router.evaluation.bootstrap import Estimate, estimate, mean
from tame_router.registry.gate.examination import CaseResult
from tame_router.registry.gate.report import Comparison, Latency, Measure, Purity, Verdict


def compare(
    expert: str, results: Sequence[CaseResult], *, margin: float, confidence: float, seed: int
) -> tuple[Comparison, ...]:
    """Compare both sides on one expert's set: by score, and by loss, where there is such.

    Args:
        expert: Whose set.
        results: Its cases.
        margin: By how much the new revision may be worse: of a score as it is, of a loss as a
            share of the live one's.
        confidence: Of the intervals, in (0.5, 1).
        seed: Of the draws.
    """
    scores = [
        (result.candidate.score, result.live.score)
        for result in results
        if result.candidate.score is not None and result.live.score is not None
    ]
    losses = [
        (result.candidate.loss, result.live.loss)
        for result in results
        if result.candidate.loss is not None and result.live.loss is not None
    ]
    found = []
    for measure, pairs in ((Measure.SCORE, scores), (Measure.LOSS, losses)):
        if not pairs:
            continue
        candidate, live = np.array(pairs, dtype=np.float64).T
        better = candidate - live
        if measure is Measure.LOSS:
            better = -better / max(float(live.mean()), 1e-9)  # a perfect live one has no loss
        difference = _estimate(better, confidence, seed)
        found.append(
            Comparison(
                expert=expert,
                measure=measure,
                candidate=float(candidate.mean()),
                live=float(live.mean()),
                difference=difference,
                margin=margin,
                verdict=judge(difference, margin),
            )
        )
    return tuple(found)


def judge(difference: Estimate, margin: float) -> Verdict:
    """Tell what a difference shows; negative is worse.

    Worse takes both: an estimate beyond the margin, and an interval that leaves out zero.
    """
    if difference.low >= -margin:
        return Verdict.NOT_WORSE
    if difference.value < -margin and difference.high < 0:
        return Verdict.WORSE
    return Verdict.OPEN


def measure_purity(results: Sequence[CaseResult], limit: float) -> Purity | None:
    """Count Simplified characters in what both sides wrote; None where neither wrote."""
    sides = [[result.candidate for result in results], [result.live for result in results]]
    written = [sum(score.characters for score in side) for side in sides]
    if not any(written):
        return None
    shares = [
        sum(score.simplified for score in side) / max(1, characters)
        for side, characters in zip(sides, written, strict=True)
    ]
    return Purity(candidate=shares[0], live=shares[1], limit=limit)


def measure_latency(
    results: Sequence[CaseResult], *, limit: float, confidence: float, seed: int
) -> Latency | None:
    """Compare seconds a token, answer by answer; None where there are fewer than two to compare."""
    pairs = [
        (result.candidate.token_s, result.live.token_s)
        for result in results
        if result.candidate.token_s and result.live.token_s
    ]
    if len(pairs) < 2:
        return None
    logs = np.array([math.log(candidate / live) for candidate, live in pairs])
    ratio = _estimate(logs, confidence, seed)
    return Latency(
        candidate_s=statistics.median(candidate for candidate, _ in pairs),
        live_s=statistics.median(live for _, live in pairs),
        ratio=Estimate(
            value=math.exp(ratio.value),
            low=math.exp(ratio.low),
            high=math.exp(ratio.high),
            questions=ratio.questions,
        ),
        limit=limit,
    )


def _estimate(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], confidence: float, seed: int
) -> Estimate:
    tail = 50 * (1 - confidence)
    found = estimate({"mean": mean(values)}, len(values), seed=seed, percentiles=(tail, 100 - tail))
    return found["mean"]
