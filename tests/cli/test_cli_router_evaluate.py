"""`tame router evaluate`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tame_router.evaluation import library
from tests.cli.conftest import Tame
from tests.small_experts import QUESTIONS

ROWS: list[dict[str, Any]] = [
    {"id": f"{name}-{number}", "text": text, "domain": name, "style": "chat", "source": "by hand"}
    for name, texts in QUESTIONS.items()
    for number, text in enumerate(texts)
]
WRONG = {"id": "wrong", "text": "發燒三十九度要看<script>醫生嗎？", "domain": "legal"}
OUTSIDE = {"id": "ood", "text": "晚餐吃什麼好", "ood_topic": "food"}
SEVERAL = {"id": "two", "text": "手術後傷口化膿可以告他嗎", "domains": ["legal", "medical"]}


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """Give a file with questions of every kind, one of them with a wrong domain."""
    return write(tmp_path / "asked.jsonl", [*ROWS, WRONG, OUTSIDE, SEVERAL])


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_report_is_one_json_object(tame: Tame, config_file: Path, questions: Path) -> None:
    """Every kind of question has its figures, and the mistake is told with its features."""
    result = tame("router", "evaluate", str(questions), "--json", "--config", str(config_file))
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["questions"] == 11
    assert report["single"]["accuracy"]["value"] == pytest.approx(8 / 9, abs=1e-5)
    assert report["single"]["languages"].keys() == {"en", "zh-TW"}
    assert report["single"]["cells"].keys() == {"chat.en", "chat.zh-TW"}
    assert report["single"]["sources"].keys() == {"asked", "by hand"}
    assert report["out_of_domain"]["to_fallback"]["value"] == 1
    assert report["multi"]["lead_found"]["value"] == 1
    assert report["stages"]["fast"]["p50_us"] > 0
    assert len(report["classifier_digest"]) == 64
    (mistake,) = report["mistakes"]
    assert (mistake["id"], mistake["lead"], mistake["expected"]) == ("wrong", "medical", ["legal"])
    assert mistake["features"]


def test_the_report_can_be_read(tame: Tame, config_file: Path, questions: Path) -> None:
    """Figures, tables and the worst mistakes; as many of these as asked for."""
    result = tame("router", "evaluate", str(questions), "--config", str(config_file))
    assert result.code == 0, result.err
    for words in ("11 questions", "Accuracy", "88.9%", "By expert", "chat.zh-TW", "Confusion"):
        assert words in result.out
    assert "medical for legal" in result.out
    none = tame("router", "evaluate", str(questions), "--worst", "0", "--config", str(config_file))
    assert "Worst mistakes" not in none.out


def test_reports_are_written_where_asked(
    tame: Tame, config_file: Path, questions: Path, tmp_path: Path
) -> None:
    """Markdown, a page, and decisions that `compare` reads; nothing else is left behind."""
    folder = tmp_path / "reports"
    folder.mkdir()
    page, markdown, decisions = (folder / name for name in ("r.html", "r.md", "d.jsonl"))
    page.write_text("old")
    files = ("--html", str(page), "--markdown", str(markdown), "--decisions", str(decisions))
    result = tame("router", "evaluate", str(questions), *files, "--config", str(config_file))
    assert result.code == 0, result.err
    html = page.read_text(encoding="utf-8")
    assert html.count("<svg ") == 3
    assert "發燒三十九度要看&lt;script&gt;醫生嗎？" in html
    assert "<script" not in html
    assert markdown.read_text(encoding="utf-8").startswith("# Router evaluation")
    rows = [json.loads(line) for line in decisions.read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == [row["id"] for row in [*ROWS, WRONG, OUTSIDE, SEVERAL]]
    assert rows[0]["style"] == "chat"
    assert sorted(path.name for path in folder.iterdir()) == ["d.jsonl", "r.html", "r.md"]
    again = tame("router", "compare", str(decisions), str(decisions), "--config", str(config_file))
    assert again.code == 0, again.err


def test_several_files_are_one_set(tame: Tame, config_file: Path, tmp_path: Path) -> None:
    """They are read in order, and an id stands once in all of them."""
    first, second = write(tmp_path / "a.jsonl", ROWS[:2]), write(tmp_path / "b.jsonl", ROWS[2:4])
    command = ("router", "evaluate", "--json", "--config", str(config_file))
    result = tame(*command, str(first), str(second))
    assert json.loads(result.out)["questions"] == 4
    twice = tame(*command, str(first), str(first))
    assert twice.code == 2
    assert "a.jsonl:1: the id 'legal-0' stands twice" in twice.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"text": "a", "domain": "cooking"}', "asked.jsonl:1: the domain 'cooking' is no expert"),
        ('{"text": "a", "domain": "leg', "asked.jsonl:1: not JSON"),
        ("", "asked.jsonl: holds no question"),
    ],
)
def test_questions_that_cannot_be_used_are_named(
    tame: Tame, config_file: Path, tmp_path: Path, line: str, words: str
) -> None:
    """File and line stand on standard error, and 2 is the exit."""
    (tmp_path / "asked.jsonl").write_text(line)
    file = str(tmp_path / "asked.jsonl")
    result = tame("router", "evaluate", file, "--config", str(config_file))
    assert (result.code, result.out) == (2, "")
    assert words in result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--html", "nowhere/r.html"), "nowhere/r.html: cannot be written; nowhere takes no file"),
        (("--markdown", "."), ".: is a folder; give a file"),
        (("--html", "r", "--markdown", "./r"), "two reports would go to one file"),
        (("--worst", "-1"), "'-1' is no count; expected 0 or more"),
    ],
)
def test_reports_that_cannot_be_written_are_refused_first(
    tame: Tame, config_file: Path, questions: Path, arguments: tuple[str, ...], words: str
) -> None:
    """Nobody waits for a measurement that then cannot be kept."""
    result = tame("router", "evaluate", str(questions), *arguments, "--config", str(config_file))
    assert (result.code, result.out) == (2, "")
    assert words in result.err


@pytest.mark.parametrize("option", ["--decisions", "--markdown", "--html"])
def test_questions_are_never_overwritten(
    tame: Tame, config_file: Path, questions: Path, option: str
) -> None:
    """A report does not go where the questions stand."""
    before = questions.read_bytes()
    result = tame(
        "router", "evaluate", str(questions), option, str(questions), "--config", str(config_file)
    )
    assert result.code == 2
    assert "holds the questions; give another file" in result.err
    assert questions.read_bytes() == before


def test_a_page_without_its_packages_is_refused_first(
    tame: Tame, config_file: Path, questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the extra to install, and 3 is the exit."""
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    command = ("router", "evaluate", str(questions), "--config", str(config_file))
    result = tame(*command, "--html", "r.html")
    assert result.code == 3
    assert "pip install 'tame-router[report]'" in result.err
    assert tame(*command).code == 0  # without a page they are not needed
