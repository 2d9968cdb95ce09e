"""A question and its answer, as adapters learn them and are measured on them.

Reads `adapters/pairs/*.jsonl`, one JSON object a line, and refuses a bad line by file and
line number. Decides nothing about tokens or training.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LANGUAGES = ("zh-TW", "en")
DOMAINS = ("legal", "medical", "manufacturing", "electronics")
"""Domains with an adapter, in the order of every table."""

HELDOUT_DOMAINS = (*DOMAINS, "general")
"""Domains that adapters are measured on; general has no adapter of its own."""

PAIRS = Path(__file__).resolve().parent / "pairs"
EXPERTS = Path(__file__).resolve().parent.parent / "experts"


class PairError(ValueError):
    """A file of pairs, or a prompt, cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One question with its answer.

    Attributes:
        name: The line's `id`, unique in its file.
        language: `zh-TW` or `en`.
        question: What the user asks.
        answer: What the expert says.
    """

    name: str
    language: str
    question: str
    answer: str


def read_pairs(path: Path) -> tuple[Pair, ...]:
    """Read a file of pairs, in its order.

    Raises:
        PairError: When the file is missing, empty or holds a line that is not a pair.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise PairError(
            f"{path}: no such file; write pairs there, see adapters/README.md"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PairError(f"{path}: cannot be read: {error}") from error
    pairs: list[Pair] = []
    first_lines: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        place = f"{path}:{number}"
        pair = _parse(line, place)
        for key in (f"id {pair.name!r}", f"question {pair.question!r}"):
            if key in first_lines:
                raise PairError(f"{place}: {key} was already used in line {first_lines[key]}")
            first_lines[key] = number
        pairs.append(pair)
    if not pairs:
        raise PairError(f"{path}: holds no pair")
    return tuple(pairs)


def training_file(domain: str) -> Path:
    """Tell where the pairs lie that a domain's adapter is trained on."""
    return PAIRS / f"{domain}.train.jsonl"


def heldout_file(domain: str) -> Path:
    """Tell where the pairs lie that no adapter is trained on."""
    return PAIRS / f"{domain}.heldout.jsonl"


def read_prompt(domain: str) -> str:
    """Read the system prompt that a domain's expert has in service.

    Raises:
        PairError: When it is missing or empty.
    """
    path = EXPERTS / domain / "prompt.md"
    try:
        prompt = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PairError(f"{path}: cannot be read: {error}") from error
    if not prompt:
        raise PairError(f"{path}: empty; write the expert's system prompt")
    return prompt


def _parse(line: str, place: str) -> Pair:
    try:
        document = json.loads(line)
    except json.JSONDecodeError as error:
        raise PairError(f"{place}: not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(document, dict):
        raise PairError(f"{place}: expected an object, saw a {type(document).__name__}")
    language = document.get("lang")
    if language not in LANGUAGES:
        raise PairError(f"{place}: lang is {language!r}, expected one of {', '.join(LANGUAGES)}")
    question, answer = _messages(document.get("messages"), place)
    return Pair(
        name=_text(document.get("id"), f"{place}: id"),
        language=language,
        question=question,
        answer=answer,
    )


def _messages(value: Any, place: str) -> Iterator[str]:
    roles = [m.get("role") for m in value if isinstance(m, dict)] if isinstance(value, list) else []
    if roles != ["user", "assistant"] or len(value) != len(roles):
        raise PairError(f"{place}: messages: expected a user's and then an assistant's message")
    return (_text(m.get("content"), f"{place}: content of the {m['role']}") for m in value)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise PairError(f"{place}: expected text, saw {value!r}")
    return value
