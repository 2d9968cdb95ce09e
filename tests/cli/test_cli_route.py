"""`tame route`."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Result, Tame
from tests.cli.terminal import Terminal
from tests.small_experts import QUESTIONS

LEGAL, MEDICAL = QUESTIONS["legal"][0], QUESTIONS["medical"][1]


def rows(result: Result) -> list[dict[str, Any]]:
    """Read what a command wrote as JSON lines."""
    return [json.loads(line) for line in result.out.splitlines()]


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_questions_are_decided(tame: Tame, config_file: Path, flags: tuple[str, ...]) -> None:
    """In a pipe, or asked for it, one JSON object a question, in their order."""
    result = tame("route", LEGAL, MEDICAL, *flags, "--config", str(config_file))
    assert result.code == 0
    legal, medical = rows(result)
    assert (legal["text"], legal["expert"], legal["experts"]) == (LEGAL, "legal", ["legal"])
    assert (medical["expert"], medical["stage"]) == ("medical", "fast")
    assert sum(legal["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert legal["elapsed_us"] >= 0
    assert LEGAL in result.out  # as it is, not escaped


def test_a_file_is_decided_line_by_line(tame: Tame, config_file: Path, tmp_path: Path) -> None:
    """Other keys of the input are kept; blank lines and a byte-order mark are passed over."""
    file = tmp_path / "in.jsonl"
    lines = [{"id": 7, "text": LEGAL, "label": None}, {"text": MEDICAL, "stage": "mine"}]
    text = "\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    file.write_text("\ufeff" + text, encoding="utf-8")
    legal, medical = rows(tame("route", "--input", str(file), "--config", str(config_file)))
    assert (legal["id"], legal["label"], legal["expert"]) == (7, None, "legal")
    assert (medical["expert"], medical["stage"]) == ("medical", "fast")


def test_standard_input_is_read(
    tame: Tame, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--input -` reads a pipe, as UTF-8 whatever the locale."""
    line = json.dumps({"text": LEGAL}, ensure_ascii=False).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line), encoding="ascii"))
    (row,) = rows(tame("route", "--input", "-", "--config", str(config_file)))
    assert row["expert"] == "legal"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"text": "a"', "in.jsonl:2: not JSON"),
        (b"[" * 50_000, "in.jsonl:2: not JSON"),
        (b'["text"]', 'in.jsonl:2: expected an object with a string "text"'),
        (b'{"question": "a"}', 'in.jsonl:2: expected an object with a string "text"'),
        (b'{"text": 5}', 'in.jsonl:2: expected an object with a string "text"'),
        (b'{"text": "\\u3000 "}', "in.jsonl:2: text is empty; give it a question"),
        (b'{"text": "caf\xe9"}', "in.jsonl:2: byte 13 is not UTF-8; save the file as UTF-8"),
        (b'{"text": "a", "b": "\\ud800"}', "in.jsonl:2: holds bytes or escapes"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(
    tame: Tame, config_file: Path, tmp_path: Path, line: bytes, words: str
) -> None:
    """What came before it is decided; the line is told with its number, and 2 is the exit."""
    (tmp_path / "in.jsonl").write_bytes(json.dumps({"text": LEGAL}).encode() + b"\n" + line)
    result = tame("route", "--input", str(tmp_path / "in.jsonl"), "--config", str(config_file))
    assert result.code == 2
    assert result.err.startswith("tame: INVALID_REQUEST: ")
    assert words in result.err
    assert [row["expert"] for row in rows(result)] == ["legal"]


@pytest.mark.parametrize("arguments", [(), ("a", "--input", "b")])
def test_questions_or_a_file_and_not_both(tame: Tame, arguments: tuple[str, ...]) -> None:
    """Neither, or both, is a wrong command line."""
    result = tame("route", *arguments)
    assert result.code == 2
    assert "give questions, or --input FILE" in result.err


@pytest.mark.parametrize("name", ["nowhere.jsonl", "."])
def test_a_file_that_cannot_be_opened_is_named(tame: Tame, config_file: Path, name: str) -> None:
    """A path that leads nowhere exits with 2 and says why."""
    result = tame("route", "--input", name, "--config", str(config_file))
    assert result.code == 2
    assert f"{name}: cannot be read: " in result.err


@pytest.mark.parametrize("text", [" ", "", "bad \udcff byte"])
def test_a_question_that_is_none_is_named(tame: Tame, config_file: Path, text: str) -> None:
    """The argument is told by its place."""
    result = tame("route", LEGAL, text, "--config", str(config_file))
    assert result.code == 2
    assert "text 2: " in result.err


def test_a_terminal_gets_bars_and_reasons(
    tame: Tame, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal each expert has its probability and a bar, and the decision its reason."""
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "200")
    result = tame("route", LEGAL, "[/] 押金 [bold]", "--config", str(config_file))
    shown = terminal.getvalue()
    assert result.code == 0
    assert LEGAL in shown
    assert "[/] 押金 [bold]" in shown
    assert "█" in shown
    assert "%" in shown
    assert "MOST_PROBABLE · fast" in shown
