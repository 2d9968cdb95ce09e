"""Figures by group."""

import pytest

from tame_router.evaluation.breakdown import cell, cover_languages, score_groups, time_stages
from tame_router.routing.decision import Stage
from tests.evaluation.trials import trial

LEGAL = {"legal": 0.9, "medical": 0.1}


def test_groups_are_scored_each_by_itself() -> None:
    """The share of right decisions of each group, by name in order."""
    trials = [
        trial("legal", LEGAL, language="zh-TW", style="chat"),
        trial("medical", LEGAL, language="zh-TW", style="chat"),
        trial("legal", LEGAL, language="en", style="exam"),
        trial("legal", LEGAL, language="en"),
    ]
    scores = score_groups(trials, cell)
    assert list(scores) == ["chat.zh-TW", "exam.en"]  # without a style there is no cell
    assert (scores["chat.zh-TW"].accuracy, scores["chat.zh-TW"].questions) == (0.5, 2)
    assert (scores["exam.en"].accuracy, scores["exam.en"].questions) == (1, 1)


def test_coverage_counts_sets_that_hold_the_right_expert() -> None:
    """An empty set is a set too: it holds nothing, and its size is 0."""
    trials = [
        trial("legal", LEGAL, language="en", conformal_set=("legal",)),
        trial("medical", LEGAL, language="en", conformal_set=("legal", "medical")),
        trial("medical", LEGAL, language="en", conformal_set=("legal",)),
        trial("medical", LEGAL, language="zh-TW"),
    ]
    found = cover_languages(trials)
    assert found["en"].coverage == pytest.approx(2 / 3)
    assert found["en"].mean_size == pytest.approx(4 / 3)
    assert found["en"].questions == 3
    assert (found["zh-TW"].coverage, found["zh-TW"].mean_size) == (0, 0)


def test_a_router_without_sets_has_no_coverage() -> None:
    """Where every set is empty there is nothing to report."""
    assert cover_languages([trial("legal", LEGAL)]) == {}


def test_stages_are_timed_each_by_itself() -> None:
    """The median, the 99th percentile, and the share of all decisions."""
    trials = [trial("legal", LEGAL, elapsed_us=us) for us in range(1, 102)]
    trials += [trial("legal", LEGAL, stage=Stage.ENCODER, elapsed_us=9_000)]
    stages = time_stages(trials)
    assert (stages["fast"].p50_us, stages["fast"].p99_us) == pytest.approx((51, 100))
    assert stages["fast"].share == pytest.approx(101 / 102)
    assert (stages["encoder"].p50_us, stages["encoder"].questions) == (9_000, 1)
