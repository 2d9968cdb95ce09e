"""Plots as SVG."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from tame_router.evaluation import plots
from tame_router.evaluation.report import SingleFigures
from tests.evaluation.reports import hand_report


@pytest.fixture
def single() -> SingleFigures:
    """Give the figures counted by hand."""
    report = hand_report()
    assert report.single is not None
    return report.single


def draw(single: SingleFigures) -> dict[str, str]:
    """Draw all plots."""
    return {
        "confusion": plots.plot_confusion(hand_report().experts, single.confusion),
        "reliability": plots.plot_reliability(single.reliability),
        "risk": plots.plot_risk_coverage(single.risk_coverage),
    }


def test_plots_are_the_same_every_time(single: SingleFigures) -> None:
    """The same figures give the same bytes: no date, no random names."""
    assert draw(single) == draw(single)


def test_plots_are_whole_and_have_a_title(single: SingleFigures) -> None:
    """Each is an XML element of its own, tells readers of screens what it is, and scales."""
    for svg in draw(single).values():
        root = ElementTree.fromstring(svg)  # noqa: S314 - drawn here
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert root.get("viewBox")
        assert root.get("width") is None


def test_colours_are_left_to_the_page(single: SingleFigures) -> None:
    """Every colour is a name that light and dark give a meaning to."""
    for svg in draw(single).values():
        assert "var(--muted)" in svg
        assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;\"])", svg) == []


def test_the_confusion_shows_names_and_counts(single: SingleFigures) -> None:
    """As text that can be searched and copied."""
    svg = draw(single)["confusion"]
    for word in ("general", "legal", "medical", ">3</text>"):
        assert word in svg


def test_what_a_plot_defines_is_its_own(single: SingleFigures) -> None:
    """Three drawings in one page share no id."""
    ids = [
        element.get("id")
        for svg in draw(single).values()
        for element in ElementTree.fromstring(svg).iter()  # noqa: S314 - drawn here
        if element.get("id")
    ]
    assert len(ids) == len(set(ids))
