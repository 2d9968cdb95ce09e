"""The report."""

import json

import pytest

from tame_router.evaluation.outcome import Trial
from tame_router.evaluation.question import Kind
from tame_router.evaluation.report import measure, report_document
from tests.evaluation.trials import EXPERTS, HAND, sure, trial

OUTSIDE = trial("general", {"general": 0.9, "legal": 0.1}, kind=Kind.OUT_OF_DOMAIN, topic="food")
LOST = trial("general", {"legal": 0.9, "general": 0.1}, kind=Kind.OUT_OF_DOMAIN, topic="law")
BOTH = trial(
    "legal medical", {"legal": 0.6, "medical": 0.4}, experts=("legal", "medical"), kind=Kind.MULTI
)


def test_every_kind_of_question_has_its_figures() -> None:
    """Accuracy is over questions of one expert only; the others are measured for themselves."""
    wide = trial("legal", {"legal": 0.6, "medical": 0.4}, experts=("legal", "medical"))
    report = measure((*HAND, wide, OUTSIDE, LOST, BOTH), experts=EXPERTS, fallback="general")
    assert report.questions == 10
    assert report.single is not None
    assert report.single.accuracy.value == pytest.approx(5 / 7)
    assert report.single.accuracy.questions == 7
    assert report.single.several_selected == pytest.approx(1 / 7)
    assert report.single.confusion == ((1, 0, 0), (0, 3, 1), (1, 0, 1))
    assert report.out_of_domain is not None
    assert report.out_of_domain.to_fallback.value == 0.5
    assert report.out_of_domain.topics["food"].accuracy == 1
    assert report.multi is not None
    assert (report.multi.all_found.value, report.multi.lead_found.value) == (1, 1)
    assert report.stages["fast"].questions == 10


@pytest.mark.parametrize("only", [OUTSIDE, BOTH])
def test_kinds_without_a_question_are_left_out(only: Trial) -> None:
    """A file of one kind gives a report of that kind, and no figure of nothing."""
    report = measure([only], experts=EXPERTS, fallback="general")
    assert report.single is None
    assert [report.out_of_domain is None, report.multi is None].count(True) == 1
    assert report.experts == EXPERTS


def test_the_document_is_json_with_stable_keys() -> None:
    """It survives a round trip, with numbers rounded."""
    report = measure([*HAND, sure("legal", "legal", 1 / 3)], experts=EXPERTS, fallback="general")
    document = report_document(report)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert list(document) == [
        "questions",
        "experts",
        "fallback",
        "classifier_digest",
        "single",
        "out_of_domain",
        "multi",
        "stages",
        "mistakes",
    ]
    assert set(document["single"]["accuracy"]) == {"value", "low", "high", "questions"}
    assert document["single"]["accuracy"]["value"] == round(5 / 7, 6)
    assert document["single"]["confusion"] == [[1, 0, 0], [0, 3, 1], [1, 0, 1]]
