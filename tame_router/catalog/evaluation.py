"""Evaluation sets: `experts/<name>/evaluation.jsonl`, one case a line.

Two kinds: `choice` asks for one of several answers, `text` for facts that a free answer
must, or must not, contain.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tame_router.catalog.problem import Problem

_Text = Annotated[str, Field(min_length=1)]


class _Case(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    id: _Text
    lang: Literal["zh-TW", "en"]
    question: _Text
    must_pass: bool = False


class ChoiceCase(_Case):
    """A question with one right answer of several; `answer` counts from 0."""

    kind: Literal["choice"]
    choices: Annotated[tuple[_Text, ...], Field(min_length=2, max_length=8)]
    answer: Annotated[int, Field(ge=0)]


class TextCase(_Case):
    """A question answered freely, judged by what the answer contains."""

    kind: Literal["text"]
    reference: _Text
    required: tuple[_Text, ...] = ()
    forbidden: tuple[_Text, ...] = ()


EvaluationCase = ChoiceCase | TextCase
_CASE: TypeAdapter[EvaluationCase] = TypeAdapter(
    Annotated[EvaluationCase, Field(discriminator="kind")]
)


def read_evaluation(path: Path) -> tuple[list[EvaluationCase], list[Problem]]:
    """Read an evaluation set, and list every fault with its line."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], [Problem(path=path, line=0, message="missing; it gates new adapters")]
    except OSError as error:
        return [], [Problem(path=path, line=0, message=f"cannot be read: {error.strerror}")]
    return parse_evaluation(data, path)


def parse_evaluation(data: bytes, path: Path) -> tuple[list[EvaluationCase], list[Problem]]:
    """Read the bytes of an evaluation set, and list every fault with its line.

    Args:
        data: The bytes.
        path: The file that the faults name; it is not looked at.
    """
    lines = data.splitlines()
    cases: list[EvaluationCase] = []
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            case = _CASE.validate_json(line)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in fault["loc"][1:])
            message = f"{place}: {fault['msg']}" if place else fault["msg"]
            problems.append(Problem(path=path, line=number, message=message[:300]))
            continue
        message = _fault(case, seen)
        if message:
            problems.append(Problem(path=path, line=number, message=message))
        seen.setdefault(case.id, number)
        cases.append(case)
    if not any(line.strip() for line in lines):
        problems.append(Problem(path=path, line=0, message="empty; write at least one case"))
    return cases, problems


def _fault(case: EvaluationCase, seen: dict[str, int]) -> str:
    if case.id in seen:
        return f"id {case.id!r} stands also in line {seen[case.id]}"
    if isinstance(case, ChoiceCase) and case.answer >= len(case.choices):
        return f"answer {case.answer} is beyond the {len(case.choices)} choices, which count from 0"
    return ""
