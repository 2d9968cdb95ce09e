"""Questions with known answers, and the files they stand in."""

import json
from pathlib import Path
from typing import Any

import pytest

from tame_router.errors import InvalidRequestError
from tame_router.evaluation.question import Kind, Question, read_questions

EXPERTS = ("general", "legal", "medical")
PUBLIC = Path(__file__).resolve().parents[3] / "shared/data/routing"


def write(folder: Path, *rows: Any, name: str = "asked.jsonl") -> Path:
    """Write rows as JSON lines; bytes as they are."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path = folder / name
    path.write_bytes(b"\n".join(lines))
    return path


def read(*paths: Path) -> tuple[Question, ...]:
    """Read files as a router with three experts would."""
    return read_questions(paths, EXPERTS, "general")


def test_each_kind_of_row_is_read(tmp_path: Path) -> None:
    """One expert, several, or none; what is not said is filled in, other keys are kept."""
    path = write(
        tmp_path,
        {"text": "押金不退", "domain": "legal", "id": 7, "mine": [1]},
        b"  ",
        {"text": "b", "domains": ["legal", "medical"], "lang": "zh-TW", "style": "chat"},
        {"text": "c", "ood_topic": "food", "source": "kitchen"},
        {"text": "d", "ood_topic": "food", "domain": "general"},
    )
    single, multi, outside, said = read(path)
    assert (single.kind, single.domains, single.id) == (Kind.SINGLE, ("legal",), "7")
    assert (single.language, single.style, single.source) == ("zh-TW", "", "asked")
    assert single.row["mine"] == [1]
    assert (multi.kind, multi.domains) == (Kind.MULTI, ("legal", "medical"))
    assert (multi.language, multi.style) == ("zh-TW", "chat")
    assert (outside.kind, outside.domains) == (Kind.OUT_OF_DOMAIN, ("general",))
    assert (outside.topic, outside.source, outside.language) == ("food", "kitchen", "en")
    assert said.domains == ("general",)
    assert (single.key, multi.key) == ("7", "b")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "a", "domain": "legl"}, "the domain 'legl' is no expert; expected one of:"),
        ({"text": "a", "domains": ["legal", "x"]}, "the domain 'x' is no expert"),
        ({"text": "a"}, "does not say who is right"),
        ({"text": "a", "domain": ""}, "does not say who is right"),
        ({"text": "a", "domain": 5}, '"domain" is 5; expected a string'),
        ({"text": "a", "domain": "legal", "lang": []}, '"lang" is []; expected a string'),
        ({"text": "a", "domain": "legal", "id": True}, '"id" is True; expected a string'),
        ({"text": "a", "domains": ["legal"]}, "expected a list of two or more"),
        ({"text": "a", "domains": ["legal", "legal"]}, "expected a list of two or more"),
        ({"text": "a", "domains": "legal"}, "expected a list of two or more"),
        ({"text": "a", "domains": ["legal", 5]}, "expected a list of two or more"),
        ({"text": "a", "domains": ["legal", "medical"], "domain": "legal"}, "expected one of them"),
        ({"text": "a", "ood_topic": "food", "domain": "legal"}, "belongs to the fallback"),
        ({"domain": "legal"}, 'expected an object with a string "text"'),
        ({"text": " ", "domain": "legal"}, "text is empty"),
        (["text"], 'expected an object with a string "text"'),
        (b'{"text": "a", "domain": "le', "not JSON"),
        (b'{"text": "a", "domain": "legal", "score": NaN}', "not JSON: NaN is no JSON number"),
        (b'{"text": "caf\xe9", "domain": "legal"}', "is not UTF-8; save the file as UTF-8"),
        ({"text": "z", "domain": "legal", "id": "first"}, "the id 'first' stands twice"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, row: Any, words: str) -> None:
    """The message says file and line, what was found and what was expected."""
    path = write(tmp_path, {"text": "a", "domain": "legal", "id": "first"}, row)
    with pytest.raises(InvalidRequestError) as refused:
        read(path)
    assert refused.value.message.startswith(f"{path}:2: ")
    assert words in refused.value.message


@pytest.mark.parametrize("data", [b"", b"\n \n"])
def test_a_file_without_a_question_is_refused(tmp_path: Path, data: bytes) -> None:
    """Beside another that has some, too: nobody meant an empty file."""
    full = write(tmp_path, {"text": "a", "domain": "legal"})
    empty = write(tmp_path, data, name="empty.jsonl")
    with pytest.raises(InvalidRequestError, match=r"empty\.jsonl: holds no question; expected"):
        read(full, empty)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """It is told which, and why."""
    with pytest.raises(InvalidRequestError, match="cannot be read: No such file"):
        read(tmp_path / "nowhere.jsonl")


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public questions are not beside this checkout")
def test_the_public_questions_can_be_read() -> None:
    """All three files, with all kinds of questions in them."""
    experts = ("electronics", "general", "legal", "manufacturing", "medical")
    paths = [PUBLIC / f"{name}.jsonl" for name in ("dev", "multi", "ood")]
    questions = read_questions(paths, experts, "general")
    assert {question.kind for question in questions} == set(Kind)
    assert {question.language for question in questions} == {"zh-TW", "en"}
