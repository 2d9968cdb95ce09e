"""Marks that a reader gave: what stands in the file, its table, and what is refused."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from bench import join_table
from bench.join_marks import PLACE, Mark, digest, document, main, markdown, read_marks
from bench.join_ways import ways
from bench.kept_replies import read_replies
from bench.pair_question import read_pair_questions
from bench.pair_score import Reply
from tame_router.routing.decision import Join

QUESTIONS = read_pair_questions()
ANSWERS = Path(__file__).resolve().parents[2] / "experts/pairs.answers.jsonl"
ENGLISH = next(question.id for question in QUESTIONS if question.lang == "en")
CHINESE = next(question.id for question in QUESTIONS if question.lang == "zh-TW")


def mark(way: str, question: str = ENGLISH, points: tuple[int, int, int] = (1, 1, 1)) -> Mark:
    """Give a mark."""
    sides, right, readable = points
    return Mark(
        question=question,
        way=way,
        sides=sides,
        right=right,
        readable=readable,
        text=digest("an answer"),
    )


def write(path: Path, *marks: Mark) -> Path:
    """Write marks as the file has them."""
    path.write_text("".join(f"{one.model_dump_json()}\n" for one in marks), "utf-8")
    return path


def test_forty_questions_were_read_every_way() -> None:
    """Of each join at least forty answers have marks, of both languages, to the same questions."""
    read: dict[str, set[str]] = {}
    for one in read_marks():
        read.setdefault(one.way, set()).add(one.question)
    assert read.keys() <= {way.name for way in ways()}
    joined = [read[f"join {join.value}"] for join in Join]
    assert all(questions == joined[0] for questions in joined)
    assert joined[0] <= {question.id for question in QUESTIONS}
    assert len(joined[0]) >= 40


def test_equal_answers_have_equal_marks() -> None:
    """Two ways that gave the same words to a question were judged alike."""
    points: dict[tuple[str, str], set[tuple[int, int, int]]] = {}
    for one in read_marks():
        given = (one.sides, one.right, one.readable)
        points.setdefault((one.question, one.text), set()).add(given)
    assert [key for key, given in points.items() if len(given) > 1] == []


def test_the_page_has_the_table_of_the_marks() -> None:
    """What `docs/joins.md` shows is what the command makes of the file."""
    page = (Path(__file__).resolve().parents[2] / "docs/joins.md").read_text("utf-8")
    shown = page.partition(PLACE.begin)[2].partition(PLACE.end)[0].strip()
    assert shown == markdown(document(QUESTIONS, read_marks()))


def test_the_marked_answers_are_kept() -> None:
    """Each mark is of an answer in `experts/pairs.answers.jsonl`, and there is none without one."""
    kept = {(one.question, one.way, digest(one.text)) for one in read_replies(ANSWERS)}
    marked = {(one.question, one.way, one.text) for one in read_marks()}
    assert {one for one in marked if one[1].startswith("join ")} <= kept


def test_the_page_has_the_tables_of_the_answers() -> None:
    """What the page says of facts, tokens and seconds is what the kept answers say."""
    page = (Path(__file__).resolve().parents[2] / "docs/joins.md").read_text("utf-8")
    replies = read_replies(ANSWERS)
    asked = {one.question for one in replies}
    questions = [one for one in QUESTIONS if one.id in asked]
    assert (
        join_table.PLACE.fill(page, join_table.markdown(join_table.document(questions, replies)))
        == page
    )


def test_figures_are_means_and_beside_single() -> None:
    """Points are averaged by way and language, and compared with `single` question by question."""
    marks = [
        mark("join single"),
        mark("join single", CHINESE, (0, 0, 0)),
        mark("join panel", ENGLISH, (2, 1, 2)),
        mark("join panel", CHINESE, (2, 0, 1)),
    ]
    found = document(QUESTIONS, marks)
    assert list(found) == ["all", "zh-TW", "en"]
    panel = found["all"]["join panel"]
    assert (panel["read"], panel["sides"], panel["right"], panel["points"]) == (2, 2, 0.5, 4)
    assert panel["whole"] == 0.5
    assert panel["gain"]["value"] == 2.5
    assert panel["gain"]["low"] <= 2.5 <= panel["gain"]["high"]
    assert "gain" not in found["all"]["join single"]
    assert found["en"]["join panel"]["gain"]["value"] == 2
    drawn = markdown(found)
    assert "| join panel | 1 | 2.00 | 1.00 | 2.00 | 5.00 | +2.00 (+2.00 – +2.00) | 100% |" in drawn


def test_a_page_is_filled_and_other_answers_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command fills in the tables, and counts marks of answers that are not those kept."""
    marks = write(tmp_path / "marks.jsonl", mark("join panel"), mark("join single"))
    page = tmp_path / "page.md"
    page.write_text(f"a {PLACE.begin} b {PLACE.end} c", "utf-8")
    replies = tmp_path / "replies.jsonl"
    rows = [("join panel", "an answer"), ("join single", "another answer")]
    kept = [Reply(question=ENGLISH, way=way, text=text) for way, text in rows]
    replies.write_text("".join(json.dumps(asdict(one)) + "\n" for one in kept), "utf-8")
    options = ["--marks", str(marks), "--fill", str(page), "--replies", str(replies), "--json"]
    assert main(options) == 0
    told = capsys.readouterr()
    assert "1 of 2 marks are of other answers" in told.err
    assert json.loads(told.out.splitlines()[-1])["all"]["join panel"]["read"] == 1
    filled = page.read_text("utf-8")
    assert filled.startswith(f"a {PLACE.begin}\n\n### Read: all\n")
    assert filled.endswith(f"\n\n{PLACE.end} c")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"sides": 3}, "sides: Input should be less than or equal to 2"),
        ({"text": "no"}, "text: String should match"),
        ({}, "has a mark already"),
    ],
)
def test_what_is_no_mark_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: dict[str, object], told: str
) -> None:
    """A mark out of range, or a second one of an answer, ends the command."""
    path = write(tmp_path / "marks.jsonl", mark("join panel"))
    row = mark("join panel").model_dump() | line
    path.write_text(path.read_text("utf-8") + json.dumps(row) + "\n", "utf-8")
    assert main(["--marks", str(path)]) == 1
    error = capsys.readouterr().err
    assert f"{path}:2: " in error
    assert told in error


def test_a_file_of_other_things_is_no_replies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--replies` with something else ends with one line."""
    marks = write(tmp_path / "marks.jsonl", mark("join panel"))
    replies = tmp_path / "replies.jsonl"
    replies.write_text('{"way": "join panel"}\n', "utf-8")
    assert main(["--marks", str(marks), "--replies", str(replies)]) == 1
    assert "holds something else than replies" in capsys.readouterr().err
