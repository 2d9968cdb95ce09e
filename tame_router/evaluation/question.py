"""A question whose right expert is known, and the files such questions stand in.

One JSON object a line: `text` and `domain`, or `domains` where it spans several, or
`ood_topic` where it is of no expert's domain and so belongs to the fallback. `id`,
`lang`, `style` and `source` may stand beside them; other keys are kept.
"""

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tame_router.errors import InvalidRequestError
from tame_router.evaluation.rows import Row, open_rows, read_rows
from tame_router.routing.text import language


class Kind(enum.StrEnum):
    """What a question asks of the router."""

    SINGLE = "single"
    """To find the one expert it belongs to."""
    MULTI = "multi"
    """To find every expert it belongs to."""
    OUT_OF_DOMAIN = "out_of_domain"
    """To see that it belongs to no expert, and send it to the fallback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with its right answer.

    Attributes:
        text: What is asked.
        kind: What it asks of the router.
        domains: The experts it belongs to: two or more for `MULTI`, else one.
        id: Its name; empty: it has none.
        language: As the file says, else as the router reads it.
        style: `exam`, `chat` or another; empty: not said.
        source: Where it comes from; the name of its file where that does not say.
        topic: What it is about where it is out of domain; else empty.
        row: The line as it was read.
    """

    text: str
    kind: Kind
    domains: tuple[str, ...]
    id: str = ""
    language: str = ""
    style: str = ""
    source: str = ""
    topic: str = ""
    row: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def key(self) -> str:
        """What tells it from other questions: its id, else its text."""
        return self.id or self.text


def read_questions(
    paths: Iterable[Path], experts: Collection[str], fallback: str
) -> tuple[Question, ...]:
    """Read files of questions, in order.

    Args:
        paths: The files.
        experts: The experts there are; a question must belong to these.
        fallback: The expert that questions out of domain belong to.

    Raises:
        InvalidRequestError: When a file cannot be read, is empty, or has a line that is no
            such question, or an id twice; the message says file, line, what was found and
            what was expected.
    """
    questions: dict[str, Question] = {}
    for path in paths:
        found = 0
        for row in read_rows(path, open_rows(path)):
            question = parse_question(row, fallback, source=path.stem)
            _refuse_unknown(row.place, question.domains, experts)
            key = question.id or row.place
            if key in questions:
                raise InvalidRequestError(
                    f"{row.place}: the id {key!r} stands twice; give each question its own"
                )
            questions[key] = question
            found += 1
        if not found:
            raise InvalidRequestError(
                f'{path}: holds no question; expected lines like {{"text": …, "domain": …}}'
            )
    return tuple(questions.values())


def parse_question(row: Row, fallback: str, source: str) -> Question:
    """Read a question from a row.

    Args:
        row: The row.
        fallback: The expert that questions out of domain belong to.
        source: Where it comes from where the row does not say.

    Raises:
        InvalidRequestError: When the row does not say which expert is right, says it in
            two ways, or has a field of the wrong type.
    """
    kind, domains = _answer(row, fallback)
    text = row.values["text"]
    return Question(
        text=text,
        kind=kind,
        domains=domains,
        id=_word(row, "id"),
        language=_word(row, "lang") or language(text),
        style=_word(row, "style"),
        source=_word(row, "source") or source,
        topic=_word(row, "ood_topic"),
        row=row.values,
    )


def _answer(row: Row, fallback: str) -> tuple[Kind, tuple[str, ...]]:
    domain, topic = _word(row, "domain"), _word(row, "ood_topic")
    if row.values.get("domains") is not None:
        if domain or topic:
            raise InvalidRequestError(
                f'{row.place}: has "domains" and also "domain" or "ood_topic"; expected one of them'
            )
        return Kind.MULTI, _domains(row)
    if topic:
        if domain not in ("", fallback):
            raise InvalidRequestError(
                f'{row.place}: has "ood_topic" and the domain {domain!r}; what is out of domain'
                f" belongs to the fallback, {fallback!r}: expected that, or no domain"
            )
        return Kind.OUT_OF_DOMAIN, (fallback,)
    if not domain:
        raise InvalidRequestError(
            f'{row.place}: does not say who is right; expected "domain", "domains" or "ood_topic"'
        )
    return Kind.SINGLE, (domain,)


def _domains(row: Row) -> tuple[str, ...]:
    value = row.values["domains"]
    names = value if isinstance(value, list) else []
    strings = all(isinstance(name, str) and name for name in names)
    if not strings or len(set(names)) < 2 or len(set(names)) != len(names):
        raise InvalidRequestError(
            f'{row.place}: "domains" is {value!r}; expected a list of two or more different names'
        )
    return tuple(names)


def _word(row: Row, key: str) -> str:
    value = row.values.get(key)
    if value is None:
        return ""
    if key == "id" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise InvalidRequestError(f'{row.place}: "{key}" is {value!r}; expected a string')
    return value


def _refuse_unknown(place: str, domains: Iterable[str], experts: Collection[str]) -> None:
    for name in domains:
        if name not in experts:
            raise InvalidRequestError(
                f"{place}: the domain {name!r} is no expert; expected one of:"
                f" {', '.join(sorted(experts))}"
            )
