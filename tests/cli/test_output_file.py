"""Files that a command writes."""

from pathlib import Path

import pytest

from tame_router.cli.output_file import check_writable, write_file
from tame_router.errors import InvalidRequestError


def test_a_file_is_replaced_whole() -> None:
    """What stood there is gone, others can read it, and nothing stands beside it."""
    file = Path.cwd() / "report.md"
    file.write_text("old")
    write_file(file, "新的")
    assert file.read_text(encoding="utf-8") == "新的"
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(Path.cwd().iterdir()) == [file]


def test_a_file_that_cannot_be_written_is_told() -> None:
    """The reason is told, and what was written aside is taken away."""
    with pytest.raises(
        InvalidRequestError, match=r"nowhere/report\.md: cannot be written: No such"
    ):
        write_file(Path.cwd() / "nowhere" / "report.md", "text")
    (Path.cwd() / "folder").mkdir()
    with pytest.raises(InvalidRequestError, match="folder: cannot be written: Is a directory"):
        write_file(Path.cwd() / "folder", "text")
    assert [path.name for path in Path.cwd().iterdir()] == ["folder"]


def test_a_file_that_could_be_written_is_not_touched() -> None:
    """Checking neither makes the file nor changes it."""
    check_writable(Path.cwd() / "report.md")
    assert list(Path.cwd().iterdir()) == []
