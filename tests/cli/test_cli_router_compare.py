"""`tame router compare`."""

import json
from pathlib import Path
from typing import Any

from tests.cli.conftest import Tame
from tests.small_experts import QUESTIONS

ROWS: list[dict[str, Any]] = [
    {
        "text": text,
        "domain": name,
        "expert": name,
        "experts": [name],
        "probabilities": {name: 0.9, "other": 0.1},
        "stage": "fast",
        "elapsed_us": 90,
    }
    for name, texts in QUESTIONS.items()
    for text in texts
]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def lead(row: dict[str, Any], expert: str) -> dict[str, Any]:
    """Give a row with another expert leading."""
    return {**row, "expert": expert, "experts": [expert]}


def test_the_difference_is_one_json_object(tame: Tame, tmp_path: Path) -> None:
    """Figures of both, the interval, and the questions that changed; matched by text."""
    a = write(tmp_path / "a.jsonl", [lead(row, "general") for row in ROWS])
    b = write(tmp_path / "b.jsonl", ROWS[::-1])
    result = tame("router", "compare", a, b, "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    accuracy = found["figures"]["accuracy"]
    assert (accuracy["a"], accuracy["b"], accuracy["value"]) == (0.25, 1, 0.75)
    assert 0 < accuracy["low"] <= 0.75 <= accuracy["high"] <= 1
    assert (len(found["mended"]), found["broken"]) == (6, [])


def test_the_difference_can_be_read(tame: Tame, tmp_path: Path) -> None:
    """Who is better, by how much, and where; a long list is cut, and says so."""
    a = write(tmp_path / "a.jsonl", ROWS)
    b = write(tmp_path / "b.jsonl", [lead(row, "nobody") for row in ROWS])
    result = tame("router", "compare", a, b)
    assert result.code == 0, result.err
    assert "8 questions" in result.out
    assert "A is better" in result.out
    assert "-100.0" in result.out
    assert "0 right in B only" in result.out
    assert "8 right in A only" in result.out
    assert ROWS[0]["text"] in result.out
    many = [{**row, "id": f"{i}-{n}"} for n in range(4) for i, row in enumerate(ROWS)]
    a = write(tmp_path / "a.jsonl", many)
    b = write(tmp_path / "b.jsonl", [lead(row, "nobody") for row in many])
    assert "… 12 more; --json has all" in tame("router", "compare", a, b).out


def test_the_same_decisions_are_not_told_apart(tame: Tame, tmp_path: Path) -> None:
    """No verdict where the interval holds 0."""
    a = write(tmp_path / "a.jsonl", ROWS)
    assert "not told apart" in tame("router", "compare", a, a).out


def test_other_questions_are_refused(tame: Tame, tmp_path: Path) -> None:
    """The message tells the first question that stands in one file only."""
    a, b = write(tmp_path / "a.jsonl", ROWS), write(tmp_path / "b.jsonl", ROWS[1:])
    result = tame("router", "compare", a, b)
    assert (result.code, result.out) == (2, "")
    assert "1 questions stand in A only" in result.err


def test_a_file_that_holds_no_decisions_is_refused(tame: Tame, tmp_path: Path) -> None:
    """Questions that nobody has decided yet are named with file and line."""
    a = write(tmp_path / "a.jsonl", [{"text": "a", "domain": "legal"}])
    result = tame("router", "compare", a, a)
    assert result.code == 2
    assert 'a.jsonl:1: "expert" is None; expected' in result.err
