"""The report in words."""

from tame_router.evaluation.section import confusion_section, headlines, sections
from tests.evaluation.reports import hand_report


def test_headlines_tell_the_figures_with_their_intervals() -> None:
    """Shares as percentages, others as numbers; what was not asked has no line."""
    lines = {line.name: line for line in headlines(hand_report())}
    assert lines["Accuracy"].value == "71.4%"
    assert "–" in lines["Accuracy"].interval
    assert lines["Out of domain"].value == "100.0%"
    assert lines["Calibration error"].interval == ""
    assert "All experts found" not in lines


def test_sections_have_a_word_for_each_column() -> None:
    """Every table is whole; one without rows, here that of sources, is left out."""
    tables = sections(hand_report())
    assert [table.title for table in tables] == [
        "By expert",
        "By language",
        "By style and language",
        "Conformal sets",
        "Out of domain, by language",
        "Out of domain, by topic",
        "Stages",
    ]
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)


def test_the_confusion_has_a_row_for_each_expert() -> None:
    """Rows are right experts, columns those that answered."""
    section = confusion_section(hand_report())
    assert section.columns == ("right", "general", "legal", "medical")
    assert section.rows[1] == ("legal", "0", "3", "1")
