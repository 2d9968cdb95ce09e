"""A report as JSON and as a page."""

import dataclasses

import pytest

from tame_router.evaluation.bootstrap import Estimate
from tame_router.registry.domain.domain import Outlook
from tame_router.registry.finding import Finding
from tame_router.registry.gate.case_score import CaseScore
from tame_router.registry.gate.report import (
    Comparison,
    Latency,
    Measure,
    Memory,
    Purity,
    Report,
    ReportCase,
    Verdict,
    read_report,
)
from tame_router.registry.gate.report_page import page
from tame_router.registry.reason import Reason

ONE = Estimate(value=-0.1, low=-0.2, high=-0.05, questions=12)
FINDING = Finding(reason=Reason.WORSE_THAN_LIVE, message="it is worse", advice="Train it.")
REPORT = Report(
    expert="legal",
    candidate="legal--0000000000000002",
    live="legal--0000000000000001",
    passed=False,
    findings=(FINDING,),
    comparisons=(
        Comparison(
            expert="legal",
            measure=Measure.LOSS,
            candidate=3.3,
            live=3.0,
            difference=ONE,
            margin=0.05,
            verdict=Verdict.WORSE,
        ),
    ),
    purity=Purity(candidate=0.01, live=0.0, limit=0.002),
    latency=Latency(candidate_s=0.02, live_s=0.02, ratio=ONE, limit=1.5),
    memory=Memory(before_bytes=2**30, after_bytes=2**30),
    cases=(
        ReportCase(
            expert="legal",
            id="legal-e01",
            language="zh-TW",
            kind="text",
            must_pass=True,
            candidate=CaseScore(score=0.0, loss=3.3, text="不知|道\n<b>"),
            live=CaseScore(score=1.0, passed=True, loss=3.0, text="押金"),
        ),
    ),
    seed=7,
    elapsed_s=61.0,
)


def test_a_report_comes_back_from_its_json() -> None:
    """Nothing is lost on the way, of a full report and of an empty one."""
    assert read_report(REPORT.document) == REPORT
    bare = Report(expert="legal", candidate="c", live="", passed=True, findings=())
    assert read_report(bare.document) == bare


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"expert": 1}'])
def test_other_text_is_no_report(text: str) -> None:
    """What is no report is refused, without its text in the message."""
    with pytest.raises(ValueError, match="no report"):
        read_report(text)


def test_a_page_tells_all_there_is() -> None:
    """Verdict, findings with their advice, figures with their intervals, and lost cases."""
    text = page(REPORT)
    assert text.startswith("# legal--0000000000000002: refused\n")
    assert "**WORSE_THAN_LIVE**: it is worse. Train it." in text
    assert (
        "| legal | loss | 3.300 | 3.000 | -0.100 (-0.200 to -0.050) of it | 0.05 | worse |" in text
    )
    assert "1.00%" in text
    assert "legal-e01 (must pass)" in text


def test_what_an_adapter_writes_stays_in_its_cell() -> None:
    """Bars, line breaks and tags of an answer do not break the page."""
    assert r"| 0.00 不知\|道 \<b\> | 1.00 押金 |" in page(REPORT)


def test_a_page_of_nothing_is_short() -> None:
    """A revision that was never asked has a verdict, and no tables."""
    bare = Report(expert="legal", candidate="c", live="", passed=True, findings=())
    assert page(bare).count("\n") == 3
    assert "the base model without adapter" in page(bare)


def test_a_new_domain_is_shown_by_expert() -> None:
    """What it takes, beside whom it stands, and how well it finds its own; JSON keeps it."""
    outlook = Outlook(
        lines=24,
        recall=0.75,
        asked={"legal": 40, "medical": 30},
        taken={"legal": 2},
        ambiguous={"medical": 1},
        alike={},
    )
    report = dataclasses.replace(REPORT, domain=outlook)
    assert read_report(report.document).domain == outlook
    shown = page(report)
    assert "Learnt from 24 teaching lines; it leads 75% of them" in shown
    assert "| legal | 40 | 2 | 0 | 0 |" in shown
    assert "| medical | 30 | 0 | 1 | 0 |" in shown
    assert "The new domain" not in page(REPORT)
