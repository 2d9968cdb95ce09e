"""Reading evaluation sets."""

import json
from pathlib import Path

import pytest

from tame_router.catalog.evaluation import ChoiceCase, TextCase, read_evaluation

CHOICE = {
    "id": "e1",
    "lang": "en",
    "kind": "choice",
    "question": "2 + 2?",
    "choices": ["3", "4"],
    "answer": 1,
}
TEXT = {
    "id": "e2",
    "lang": "zh-TW",
    "kind": "text",
    "question": "一加一？",
    "reference": "二",
    "required": ["二"],
    "must_pass": True,
}


def write(path: Path, *rows: object) -> Path:
    """Write rows as JSON lines; a string is written as it is."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    file = path / "evaluation.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_both_kinds_are_read(tmp_path: Path) -> None:
    """Choices and free texts become cases; blank lines are passed over."""
    cases, problems = read_evaluation(write(tmp_path, CHOICE, "", TEXT))
    assert problems == []
    choice, text = cases
    assert isinstance(choice, ChoiceCase)
    assert choice.choices[choice.answer] == "4"
    assert isinstance(text, TextCase)
    assert text.must_pass


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("{", "Invalid JSON"),
        ({**CHOICE, "id": "e3", "answer": 2}, "answer 2 is beyond the 2 choices"),
        ({**CHOICE, "kind": "poem"}, "poem"),
        ({**CHOICE, "lang": "fr"}, "lang"),
        ({**TEXT, "reference": ""}, "reference"),
        ({**TEXT, "colour": "red"}, "colour"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, row: object, expected: str) -> None:
    """A case that cannot be used is told with its line and what is wrong."""
    _, problems = read_evaluation(write(tmp_path, CHOICE, row))
    (problem,) = problems
    assert problem.line == 2
    assert expected in problem.message


def test_an_id_that_stands_twice_is_named(tmp_path: Path) -> None:
    """Reports name cases by their ids, so an id has one line."""
    _, problems = read_evaluation(write(tmp_path, CHOICE, CHOICE))
    assert problems[0].message == "id 'e1' stands also in line 1"


def test_missing_and_empty_sets_are_faults(tmp_path: Path) -> None:
    """An expert without evaluation cannot gate an adapter."""
    assert "missing" in read_evaluation(tmp_path / "evaluation.jsonl")[1][0].message
    assert "empty" in read_evaluation(write(tmp_path))[1][0].message
    assert "empty" in read_evaluation(write(tmp_path, "", " "))[1][0].message


def test_a_set_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A folder in place of the file is a fault, not a crash."""
    (tmp_path / "evaluation.jsonl").mkdir()
    assert "cannot be read" in read_evaluation(tmp_path / "evaluation.jsonl")[1][0].message
