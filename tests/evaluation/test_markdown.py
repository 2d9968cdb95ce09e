"""A report as Markdown."""

from tame_router.evaluation.markdown import render_markdown
from tests.evaluation.reports import hand_report


def test_the_figures_stand_in_tables() -> None:
    """Figures, parts, confusion and mistakes, each where a reader looks for it."""
    text = render_markdown(hand_report())
    assert "| Accuracy | 71.4% |" in text
    assert "| legal | 100.0% | 75.0% | 85.7% | 4 |" in text
    assert "## Confusion" in text
    assert "**medical** for legal; medical 90.0%" in text
    assert "押 +1.25" in text


def test_texts_are_escaped() -> None:
    """A question cannot break a table or become markup."""
    text = render_markdown(hand_report())
    assert "<script>" not in text
    assert r"\<script\>alert('押金')\</script\> \| \*bold\* \& \[link\](x)" in text
