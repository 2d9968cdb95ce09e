"""The examples in docs/traditional-chinese.md are what the guard does."""

import re
from pathlib import Path

import pytest

from tame_router.answering.callers_text import CallersText
from tame_router.answering.conversion import Conversion
from tame_router.answering.han_run import HanRun
from tame_router.answering.phrases import load_phrases
from tame_router.answering.question import Question

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/traditional-chinese.md").read_text(encoding="utf-8")
CONVERTED = re.compile(
    r"^\| a model writes \| the caller reads \|\n.*\n((?:\|.*\n)+)", re.MULTILINE
)
STAYING = re.compile(r"^\| stays \|\n.*\n((?:\|.*\n)+)", re.MULTILINE)


def cells(table: str) -> list[list[str]]:
    """Give the cells of a table's lines."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def converted(text: str) -> str:
    """Convert a text, one character at a time."""
    question = Question(answer_id="docs", messages=())
    phrases = load_phrases()
    conversion = Conversion(HanRun(phrases, CallersText(question, phrases)))
    return "".join([*map(conversion.feed, text), conversion.end()])


@pytest.mark.parametrize(
    ("written", "read"), [row for table in CONVERTED.findall(PAGE) for row in cells(table)]
)
def test_the_documented_conversions_are_made(written: str, read: str) -> None:
    """Each line of the tables shows what becomes of a model's words, and of the result."""
    assert converted(written) == read
    assert converted(read) == read


@pytest.mark.parametrize("text", [row[0] for row in cells(STAYING.findall(PAGE)[0])])
def test_what_is_documented_to_stay_stays(text: str) -> None:
    """Each line is Traditional, and passes as it is."""
    assert converted(text) == text


def test_the_tables_were_found() -> None:
    """The page holds the tables that the other tests read."""
    assert len(CONVERTED.findall(PAGE)) == 2
    assert len(cells(STAYING.findall(PAGE)[0])) == 4
