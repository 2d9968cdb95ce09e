"""A report as an HTML page."""

from html.parser import HTMLParser

import pytest

from tame_router.errors import ConfigError
from tame_router.evaluation import library
from tame_router.evaluation.page import render_page
from tame_router.evaluation.question import Kind
from tame_router.evaluation.report import measure
from tests.evaluation.reports import DANGEROUS, hand_report
from tests.evaluation.trials import EXPERTS, trial

VOID = {"meta", "br", "link", "img"}


class Page(HTMLParser):
    """Reads a page: its tags, its text, and what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and what it refers to."""
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.fetched.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Check that tags close in order."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        if data.strip():
            self.words.append(" ".join(data.split()))


def test_the_page_holds_the_figures() -> None:
    """Figures, tables, three drawings and the worst mistakes; every tag is closed."""
    page = Page(render_page(hand_report()))
    assert page.open == []
    assert page.tags.count("svg") == 3
    for word in ("Accuracy", "71.4%", "Conformal sets", "Stages", "85.7%", "90.0 %", "+1.25"):
        assert word in page.words
    assert "8 questions · 3 experts · classifier" in page.words


def test_texts_are_escaped() -> None:
    """A question, an id or a feature that looks like markup is shown as it is."""
    page = Page(render_page(hand_report()))
    assert "script" not in page.tags
    for word in (DANGEROUS, "<i>押"):
        assert word in page.words
    assert any("<b>id</b>" in word for word in page.words)


def test_the_page_needs_nothing_beside_it() -> None:
    """Nothing is fetched: no link, no script, no image, no font, no style sheet."""
    text = render_page(hand_report())
    assert Page(text).fetched == []
    assert "@import" not in text
    assert text.count("url(") == text.count("url(#")


def test_the_page_is_the_same_every_time() -> None:
    """The same report gives the same bytes."""
    assert render_page(hand_report()) == render_page(hand_report())


def test_a_page_without_questions_of_one_expert_has_no_plots() -> None:
    """The other figures are still there."""
    outside = trial("general", {"general": 1.0}, kind=Kind.OUT_OF_DOMAIN, topic="food")
    page = Page(render_page(measure([outside], experts=EXPERTS, fallback="general")))
    assert "svg" not in page.tags
    assert "Out of domain" in page.words


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what is missing and how to install it."""
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"jinja2 and matplotlib.*pip install 'tame-router\[rep"):
        render_page(hand_report())
