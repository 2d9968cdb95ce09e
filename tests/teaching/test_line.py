"""The lines of a teaching file."""

from pathlib import Path

import pytest

from tame_router.teaching.line import LONGEST_LINE_CHARS, Line, heading, read_lines


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    """Headings and lines that say nothing are passed over, and counted."""
    path = tmp_path / "lines.txt"
    path.write_text("# 標題\n\n  麵團 \n\u200b\n#\n#hashtag\n蛋糕", encoding="utf-8")
    lines, problems = read_lines(path)
    assert lines == [
        Line(number=3, text="麵團"),
        Line(number=6, text="#hashtag"),
        Line(number=7, text="蛋糕"),
    ]
    assert problems == []


@pytest.mark.parametrize(
    ("data", "byte"), [(b"\xef\xbb\xbfab\n\xff", 6), (b"\xa4", 0), (b"a\r\nb\r\nc\x80", 7)]
)
def test_a_byte_that_is_no_text_is_found(tmp_path: Path, data: bytes, byte: int) -> None:
    """Its place in the file is told, a byte-order mark counted in."""
    path = tmp_path / "lines.txt"
    path.write_bytes(data)
    _, (problem,) = read_lines(path)
    assert problem.message.startswith(f"byte {byte} of the file (0x{data[byte]:02x})")
    assert problem.line == data.count(b"\n") + 1


def test_a_document_is_no_line(tmp_path: Path) -> None:
    """The longest line is read, a longer one is reported."""
    path = tmp_path / "lines.txt"
    path.write_text("a" * LONGEST_LINE_CHARS + "\n" + "a" * (LONGEST_LINE_CHARS + 1))
    lines, problems = read_lines(path)
    assert [line.number for line in lines] == [1]
    assert [(p.line, "at most 2,000" in p.message) for p in problems] == [(2, True)]


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """It is reported, and nothing is read."""
    lines, problems = read_lines(tmp_path / "none.txt")
    assert lines == []
    assert "cannot be read: No such file" in problems[0].message


@pytest.mark.parametrize(("text", "expected"), [("#", True), ("# a", True), ("#a", False)])
def test_a_heading_has_a_space(text: str, expected: bool) -> None:
    """A hash alone makes no heading of a word behind it."""
    assert heading(text) is expected
