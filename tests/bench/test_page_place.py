"""The place of a bench's tables in a page."""

from pathlib import Path

import pytest

from bench.page_place import Place

PLACE = Place(begin="<!-- here -->", end="<!-- /here -->")


def test_tables_stand_between_the_marks_of_a_page(tmp_path: Path) -> None:
    """Filling twice leaves one table; what stands around it stays."""
    page = tmp_path / "page.md"
    page.write_text("before <!-- here --> old <!-- /here --> after", "utf-8")
    for drawn in ("other", "new", "new"):
        PLACE.fill_file(page, drawn)
    assert page.read_text("utf-8") == "before <!-- here -->\n\nnew\n\n<!-- /here --> after"


@pytest.mark.parametrize("page", ["a page", "<!-- here -->", "<!-- /here --> <!-- here -->"])
def test_a_page_without_the_marks_is_refused(page: str) -> None:
    """It is said which are missing."""
    with pytest.raises(ValueError, match="no place for tables; write <!-- here --> and"):
        PLACE.fill(page, "new")
