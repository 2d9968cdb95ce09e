"""Paired comparisons, and what they show."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.evaluation.bootstrap import Estimate
from tame_router.registry.gate.case_score import CaseScore
from tame_router.registry.gate.comparison import (
    compare,
    judge,
    measure_latency,
    measure_purity,
)
from tame_router.registry.gate.examination import CaseResult
from tame_router.registry.gate.judgement import LEAST_TIMED, judge_latency, judge_memory
from tame_router.registry.gate.report import Measure, Memory, Verdict
from tame_router.registry.reason import Reason
from tests.registry.gate.conftest import choice

UNIT = st.floats(0, 1)


def result(candidate: CaseScore, live: CaseScore) -> CaseResult:
    """Give a case as both sides answered it."""
    return CaseResult(expert="legal", case=choice(1), candidate=candidate, live=live)


@given(st.lists(UNIT, min_size=1, max_size=40))
def test_equal_scores_are_never_worse(scores: list[float]) -> None:
    """A side against itself differs by nothing, whatever its scores."""
    results = [result(CaseScore(score=s, loss=s), CaseScore(score=s, loss=s)) for s in scores]
    found = compare("legal", results, margin=0.05, confidence=0.95, seed=1)
    assert [one.measure for one in found] == [Measure.SCORE, Measure.LOSS]
    for one in found:
        assert one.difference.value == 0
        assert one.verdict is Verdict.NOT_WORSE


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (0.0, -0.05, 0.05, Verdict.NOT_WORSE),
        (0.0, -0.06, 0.06, Verdict.OPEN),
        (-0.06, -0.15, 0.03, Verdict.OPEN),
        (-0.04, -0.07, -0.01, Verdict.OPEN),
        (-0.06, -0.1, -0.02, Verdict.WORSE),
        (0.2, 0.1, 0.3, Verdict.NOT_WORSE),
    ],
)
def test_worse_takes_more_than_the_margin_and_more_than_chance(
    value: float, low: float, high: float, verdict: Verdict
) -> None:
    """An estimate beyond the margin and an interval without zero; an interval within it is well."""
    assert judge(Estimate(value=value, low=low, high=high, questions=40), 0.05) is verdict


def test_a_revision_of_equal_worth_is_seldom_refused() -> None:
    """Of 200 revisions whose cases differ by chance alone at most 5 % are found worse."""
    lot = random.Random(1)
    worse = 0
    for seed in range(200):
        pairs = [(lot.betavariate(1, 2), lot.betavariate(1, 2)) for _ in range(40)]
        results = [result(CaseScore(score=a), CaseScore(score=b)) for a, b in pairs]
        (found,) = compare("legal", results, margin=0.05, confidence=0.95, seed=seed)
        worse += found.verdict is Verdict.WORSE
    assert worse <= 10


def test_losses_are_compared_as_a_share_of_the_live_ones() -> None:
    """A tenth more nats is a difference of minus a tenth."""
    results = [result(CaseScore(loss=3.3), CaseScore(loss=3.0))] * 5
    (found,) = compare("legal", results, margin=0.05, confidence=0.95, seed=1)
    assert found.difference.value == pytest.approx(-0.1)
    assert found.verdict is Verdict.WORSE


def test_purity_is_a_share_of_all_characters() -> None:
    """Answers of all lengths count by their characters; without any there is none."""
    sides = CaseScore(characters=90, simplified=3), CaseScore(characters=10)
    purity = measure_purity([result(*sides), result(*sides[::-1])], 0.002)
    assert purity is not None
    assert (purity.candidate, purity.live) == (0.03, 0.03)
    assert measure_purity([result(CaseScore(), CaseScore())], 0.002) is None


def timed(ratio: float, answers: int = 12, token_s: float = 0.02) -> list[CaseResult]:
    """Give answers whose tokens take the candidate so many times as long, more or less."""
    lot = random.Random(1)
    return [
        result(
            CaseScore(token_s=token_s * ratio * lot.uniform(0.8, 1.25)),
            CaseScore(token_s=token_s * lot.uniform(0.8, 1.25)),
        )
        for _ in range(answers)
    ]


@pytest.mark.parametrize(("ratio", "refused"), [(1.0, False), (1.2, False), (2.0, True)])
def test_a_slow_revision_is_found(ratio: float, refused: bool) -> None:
    """Twice the time a token is refused, a fifth more is not."""
    latency = measure_latency(timed(ratio), limit=1.5, confidence=0.95, seed=1)
    findings = judge_latency(latency)
    assert [finding.reason for finding in findings] == [Reason.TOO_SLOW] * refused


def test_what_nobody_notices_is_not_slow() -> None:
    """Where a token takes a millisecond, twice that is the machine's noise."""
    latency = measure_latency(timed(2.0, token_s=0.001), limit=1.5, confidence=0.95, seed=1)
    assert latency is not None
    assert latency.ratio.low > 1
    assert judge_latency(latency) == []


def test_times_of_one_answer_say_nothing() -> None:
    """There is nothing to tell chance by."""
    assert measure_latency(timed(9, 1), limit=1.5, confidence=0.95, seed=1) is None
    assert judge_latency(None) == []


def test_times_of_a_few_answers_are_shown_and_refuse_nothing() -> None:
    """A machine that was busy elsewhere for a moment is no fault of a revision."""
    latency = measure_latency(timed(9, LEAST_TIMED - 1), limit=1.5, confidence=0.95, seed=1)
    assert latency is not None
    assert latency.ratio.low > latency.limit
    assert judge_latency(latency) == []


def test_memory_that_grows_is_found() -> None:
    """An engine that tells its memory is believed."""
    assert judge_memory(Memory(before_bytes=100, after_bytes=120)) == []
    (finding,) = judge_memory(Memory(before_bytes=2**30, after_bytes=2**31))
    assert finding.reason is Reason.TOO_MUCH_MEMORY
    assert judge_memory(None) == []
