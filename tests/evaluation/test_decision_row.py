"""Decisions as JSON lines."""

import json
from pathlib import Path
from typing import Any

import pytest

from tame_router.errors import InvalidRequestError
from tame_router.evaluation.decision_row import decision_row, read_decisions
from tests.evaluation.trials import HAND, trial

ROW: dict[str, Any] = {
    "text": "a",
    "domain": "legal",
    "id": "first",
    "expert": "legal",
    "experts": ["legal", "medical"],
    "probabilities": {"legal": 0.75, "medical": 0.25},
    "stage": "fast",
    "elapsed_us": 120,
}


def write(path: Path, *rows: Any) -> Path:
    """Write rows as JSON lines."""
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Question and outcome come through a file unchanged."""
    trials = (*HAND, trial("legal", {"legal": 1.0}, text="set", conformal_set=("legal",)))
    rows = [
        decision_row({"text": f"text {i}", "domain": t.question.domains[0]}, t.outcome)
        for i, t in enumerate(trials)
    ]
    read = read_decisions(write(tmp_path / "d.jsonl", *rows), "general")
    assert [t.question.domains for t in read] == [t.question.domains for t in trials]
    for got, given in zip(read, trials, strict=True):
        assert (got.outcome.lead, got.outcome.experts) == (
            given.outcome.lead,
            given.outcome.experts,
        )
        assert {p.expert: p.probability for p in got.outcome.probabilities} == pytest.approx(
            {p.expert: p.probability for p in given.outcome.probabilities}
        )
        assert got.outcome.conformal_set == given.outcome.conformal_set


def test_the_keys_of_the_question_are_kept() -> None:
    """The decision stands beside them, and a set only where there is one."""
    row = decision_row({"text": "a", "mine": 1}, HAND[0].outcome)
    assert list(row) == [
        "text",
        "mine",
        "expert",
        "experts",
        "probabilities",
        "stage",
        "elapsed_us",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"expert": None}, '"expert" is None; expected the first of "experts"'),
        ({"expert": "medical"}, 'expected the first of "experts"'),
        ({"experts": "legal"}, "\"experts\" is 'legal'; expected a list"),
        ({"experts": [1]}, "expected a list of experts' names"),
        ({"probabilities": None}, "expected a probability for each expert; together 1"),
        ({"probabilities": {"legal": 0.5}}, "expected a probability for each expert; together 1"),
        ({"probabilities": {"legal": 1.5, "medical": -0.5}}, "expected numbers from 0 to 1"),
        ({"probabilities": {"legal": float("nan")}}, "not JSON: NaN is no JSON number"),
        ({"probabilities": {"legal": "1"}}, "expected numbers from 0 to 1"),
        ({"stage": "slow"}, "\"stage\" is 'slow'; expected one of fast, encoder, pinned"),
        ({"stage": None}, "expected one of fast"),
        ({"elapsed_us": -1}, "expected whole microseconds"),
        ({"elapsed_us": 1.5}, "expected whole microseconds"),
        ({"conformal_set": 5}, '"conformal_set" is 5; expected a list'),
        ({"domain": None}, "does not say who is right"),
        ({"id": "first"}, "the question 'first' stands twice"),
    ],
)
def test_a_row_that_is_no_decision_is_named(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    """The message says file and line, what was found and what was expected."""
    path = write(tmp_path / "d.jsonl", ROW, {**ROW, "id": "second", **changes})
    with pytest.raises(InvalidRequestError) as refused:
        read_decisions(path, "general")
    assert refused.value.message.startswith(f"{path}:2: ")
    assert words in refused.value.message


def test_a_file_without_a_decision_is_refused(tmp_path: Path) -> None:
    """It says what was expected."""
    with pytest.raises(InvalidRequestError, match="holds no decision; expected what `tame route"):
        read_decisions(write(tmp_path / "empty.jsonl"), "general")
