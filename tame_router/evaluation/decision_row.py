"""A decision as a JSON line: what `tame route` writes, and reading it back.

The keys of the question are kept; `expert`, `experts`, `probabilities`, `stage` and
`elapsed_us` are added, and `conformal_set` where there is one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tame_router.errors import InvalidRequestError
from tame_router.evaluation.outcome import Outcome, Trial
from tame_router.evaluation.question import parse_question
from tame_router.evaluation.rows import Row, open_rows, read_rows
from tame_router.routing.decision import ExpertProbability, Stage

TOLERANCE = 1e-3
"""How far from 1 the sum of the probabilities of a file may lie: they are written rounded."""


def decision_row(row: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Write a decision beside the keys of its question."""
    decided = {
        **row,
        "expert": outcome.lead,
        "experts": list(outcome.experts),
        "probabilities": {p.expert: round(p.probability, 6) for p in outcome.probabilities},
        "stage": str(outcome.stage),
        "elapsed_us": outcome.elapsed_us,
    }
    if outcome.conformal_set:
        decided["conformal_set"] = list(outcome.conformal_set)
    return decided


def read_decisions(path: Path, fallback: str) -> tuple[Trial, ...]:
    """Read a file of decisions about questions whose right expert it names; in its order.

    Args:
        path: The file.
        fallback: The expert that questions out of domain belong to.

    Raises:
        InvalidRequestError: When it cannot be read, is empty, or has a line that is no such
            decision, or a question twice; the message says file, line, what was found and
            what was expected.
    """
    trials: dict[str, Trial] = {}
    for row in read_rows(path, open_rows(path)):
        question = parse_question(row, fallback, source=path.stem)
        if question.key in trials:
            raise InvalidRequestError(
                f"{row.place}: the question {question.key!r} stands twice;"
                " give each an id of its own"
            )
        trials[question.key] = Trial(question=question, outcome=_outcome(row))
    if not trials:
        raise InvalidRequestError(
            f"{path}: holds no decision; expected what `tame route --input` writes"
        )
    return tuple(trials.values())


def _outcome(row: Row) -> Outcome:
    lead, experts = row.values.get("expert"), _names(row, "experts")
    if not isinstance(lead, str) or experts[:1] != (lead,):
        raise _refuse(row, "expert", 'the first of "experts"')
    return Outcome(
        lead=lead,
        experts=experts,
        probabilities=_probabilities(row),
        stage=_stage(row),
        elapsed_us=_elapsed_us(row),
        conformal_set=_names(row, "conformal_set"),
    )


def _names(row: Row, key: str) -> tuple[str, ...]:
    value = row.values.get(key, [])
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _refuse(row, key, "a list of experts' names")
    return tuple(value)


def _probabilities(row: Row) -> tuple[ExpertProbability, ...]:
    value = row.values.get("probabilities")
    pairs = list(value.items()) if isinstance(value, dict) else []
    if not all(type(p) in (int, float) and 0 <= p <= 1 for _, p in pairs):
        raise _refuse(row, "probabilities", "numbers from 0 to 1")
    if abs(sum(p for _, p in pairs) - 1) > TOLERANCE:
        raise _refuse(row, "probabilities", "a probability for each expert; together 1")
    pairs.sort(key=lambda pair: (-pair[1], pair[0]))
    return tuple(ExpertProbability(expert=name, probability=float(p)) for name, p in pairs)


def _stage(row: Row) -> Stage:
    try:
        return Stage(str(row.values.get("stage")))
    except ValueError:
        raise _refuse(row, "stage", f"one of {', '.join(Stage)}") from None


def _elapsed_us(row: Row) -> int:
    value = row.values.get("elapsed_us")
    if type(value) is not int or value < 0:
        raise _refuse(row, "elapsed_us", "whole microseconds, 0 or more")
    return value


def _refuse(row: Row, key: str, expected: str) -> InvalidRequestError:
    return InvalidRequestError(
        f'{row.place}: "{key}" is {row.values.get(key)!r}; expected {expected},'
        " as `tame route --input` writes it"
    )
