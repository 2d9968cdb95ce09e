"""Questions that need two experts, each with the facts that either side should bring.

`experts/pairs.evaluation.jsonl`, one case a line:

    {"id": …, "lang": "zh-TW", "kind": "pair", "domains": ["legal", "medical"],
     "question": …, "facts": {"legal": [{"fact": …, "any": [regex, …]}], "medical": […]}}

A fact is a sentence for the reader, and patterns of which any one tells that an answer
brings it. Patterns are searched without regard to case, in text normalised to NFKC, so
that full-width digits and letters count like others.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from tame_router.catalog.problem import Problem
from tame_router.errors import CatalogError

ROOT = Path(__file__).resolve().parents[1]
QUESTIONS = ROOT / "experts" / "pairs.evaluation.jsonl"

_Text = Annotated[str, Field(min_length=1)]


def normalise(text: str) -> str:
    """Give text in the form in which patterns are searched."""
    return unicodedata.normalize("NFKC", text)


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return pattern


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fact(_Frozen):
    """Something an answer should say; `any` holds patterns of which one is enough."""

    fact: _Text
    any: Annotated[tuple[Annotated[_Text, AfterValidator(_compiles)], ...], Field(min_length=1)]

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(pattern, re.IGNORECASE) for pattern in self.any)

    def found(self, text: str) -> bool:
        """Tell whether a text, normalised, brings the fact."""
        return any(pattern.search(text) for pattern in self._patterns)


class PairQuestion(_Frozen):
    """A question of two domains; `facts` holds what each of them should bring."""

    id: _Text
    lang: Literal["zh-TW", "en"]
    kind: Literal["pair"]
    domains: tuple[_Text, _Text]
    question: _Text
    facts: Mapping[str, Annotated[tuple[Fact, ...], Field(min_length=1)]]

    @property
    def pair(self) -> str:
        """Name of the pair of domains."""
        return "+".join(self.domains)

    @model_validator(mode="after")
    def _both_sides(self) -> "PairQuestion":
        if len(set(self.domains)) != 2 or set(self.facts) != set(self.domains):
            raise ValueError("facts: expected those of two different domains, and of no other")
        return self


_QUESTION = TypeAdapter(PairQuestion)


def read_pair_questions(path: Path = QUESTIONS) -> tuple[PairQuestion, ...]:
    """Read a file of two-domain questions, in order.

    Raises:
        CatalogError: When it cannot be read, is empty, or has a faulty line; the message lists
            every fault with its line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: cannot be read: {error}") from error
    questions: dict[str, PairQuestion] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            question = _QUESTION.validate_json(line)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in fault["loc"])
            message = f"{place}: {fault['msg']}" if place else fault["msg"]
            problems.append(Problem(path=path, line=number, message=message[:300]))
            continue
        if question.id in questions:
            message = f"id {question.id!r} stands twice; give each question its own"
            problems.append(Problem(path=path, line=number, message=message))
        questions[question.id] = question
    if not questions and not problems:
        problems.append(Problem(path=path, line=0, message="empty; write at least one question"))
    if problems:
        raise CatalogError("\n".join(map(str, problems)))
    return tuple(questions.values())
