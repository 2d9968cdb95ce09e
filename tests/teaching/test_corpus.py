"""Reading the teaching lines."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tame_router.teaching.corpus import Corpus, read_corpus
from tame_router.teaching.line import LONGEST_LINE_CHARS

CHINESE = "utterances.zh-TW.txt"


def only(folders: Mapping[str, Path], name: str) -> Mapping[str, Path]:
    """Keep one folder."""
    return {name: folders[name]}


def test_lines_are_read_in_order_with_their_places(corpus: Corpus) -> None:
    """Headings and blank lines are no utterances, and every utterance knows its line."""
    assert corpus.experts == ("baking", "cycling", "general")
    assert len(corpus.utterances) == 60
    first = corpus.utterances[0]
    assert (first.text, first.expert, first.language, first.line) == (
        "麵團發酵要多久才夠",
        "baking",
        "zh-TW",
        2,
    )


def test_digest_changes_exactly_with_the_teaching(folders: Mapping[str, Path]) -> None:
    """Headings, blank lines, case and width leave the digest alone; a word changes it."""
    path = folders["baking"] / CHINESE
    before = read_corpus(folders)[0].digest
    text = path.read_text(encoding="utf-8")
    path.write_text("# 新標題\n\n" + text.replace("酵母粉", "酵母粉 ").upper(), encoding="utf-8")
    assert read_corpus(folders)[0].digest != before  # a space stands for a word boundary
    path.write_text("# 新標題\n\n" + text.replace("# 蛋糕", ""), encoding="utf-8")
    assert read_corpus(folders)[0].digest == before
    path.write_text(text.replace("酵母粉", "酵母"), encoding="utf-8")
    assert read_corpus(folders)[0].digest != before


def test_digest_knows_the_experts(folders: Mapping[str, Path], tmp_path: Path) -> None:
    """The same lines under another name are other teaching material."""
    before = read_corpus(folders)[0].digest
    renamed = {("cakes" if name == "baking" else name): path for name, path in folders.items()}
    assert read_corpus(renamed)[0].digest != before
    assert read_corpus({**folders, "empty": tmp_path})[0].digest != before


def test_bytes_that_are_not_utf8_are_reported_with_their_offset(
    folders: Mapping[str, Path],
) -> None:
    """A damaged line is left out, and its byte is named."""
    path = folders["baking"] / CHINESE
    path.write_bytes("麵團\n".encode() + b"ab\xa4z\n" + "蛋糕\n".encode())
    corpus, problems = read_corpus(only(folders, "baking"))
    assert [p.line for p in problems] == [2]
    assert "byte 9 of the file (0xa4) is not UTF-8" in problems[0].message
    assert [u.text for u in corpus.utterances if u.language == "zh-TW"] == ["麵團", "蛋糕"]


def test_byte_order_mark_and_carriage_returns_are_taken_off(folders: Mapping[str, Path]) -> None:
    """A file saved by a Windows editor reads like any other, offsets included."""
    path = folders["baking"] / CHINESE
    path.write_bytes(b"\xef\xbb\xbf" + "麵團\r\n".encode() + b"\xff\r\n")
    corpus, problems = read_corpus(only(folders, "baking"))
    assert corpus.utterances[0].text == "麵團"
    assert "byte 11 of the file (0xff)" in problems[0].message


def test_a_line_longer_than_any_utterance_is_reported(folders: Mapping[str, Path]) -> None:
    """A document pasted into a line is left out and reported."""
    path = folders["baking"] / CHINESE
    path.write_text("麵" * LONGEST_LINE_CHARS + "\n" + "麵" * 2_001 + "\n", encoding="utf-8")
    corpus, problems = read_corpus(only(folders, "baking"))
    assert [(p.line, p.message[:16]) for p in problems] == [(2, "2,001 characters")]
    assert len(corpus.utterances[0].text) == LONGEST_LINE_CHARS


@pytest.mark.parametrize("content", ["", "\n\n", "# 標題\n#\n", "\u200b\n"])
def test_an_empty_file_is_reported(folders: Mapping[str, Path], content: str) -> None:
    """A file without any utterance is a mistake."""
    path = folders["baking"] / CHINESE
    path.write_text(content, encoding="utf-8")
    _, problems = read_corpus(only(folders, "baking"))
    assert [str(p) for p in problems] == [f"{path}: empty; write one utterance a line"]


def test_a_missing_file_is_advice_and_none_at_all_is_fatal(folders: Mapping[str, Path]) -> None:
    """An expert may be taught in one language, but not in none."""
    (folders["baking"] / CHINESE).unlink()
    corpus, problems = read_corpus(only(folders, "baking"))
    assert [p.fatal for p in problems] == [False]
    assert {u.language for u in corpus.utterances} == {"en"}
    (folders["baking"] / "utterances.en.txt").unlink()
    _, problems = read_corpus(only(folders, "baking"))
    assert [p.fatal for p in problems] == [False, False, True]
    assert problems[-1].path == folders["baking"]


def test_a_file_that_cannot_be_read_is_reported(folders: Mapping[str, Path]) -> None:
    """A folder in a file's place is a problem, not a crash."""
    path = folders["baking"] / CHINESE
    path.unlink()
    path.mkdir()
    _, problems = read_corpus(only(folders, "baking"))
    assert "cannot be read" in problems[0].message


def test_a_line_for_two_experts_names_the_second(folders: Mapping[str, Path]) -> None:
    """Behind an expert's own lines stand its questions that need another one too."""
    path = folders["baking"] / "joint.zh-TW.txt"
    path.write_text("# 兩者\ncycling: 騎車 50 公里前吃什麼麵包\n", encoding="utf-8")
    corpus, problems = read_corpus(folders)
    assert problems == []
    (joint,) = (u for u in corpus.utterances if u.other)
    assert (joint.expert, joint.other, joint.text) == (
        "baking",
        "cycling",
        "騎車 50 公里前吃什麼麵包",
    )
    assert (joint.path, joint.line, joint.language) == (path, 2, "zh-TW")
    path.write_text("general: 騎車 50 公里前吃什麼麵包\n", encoding="utf-8")
    assert read_corpus(folders)[0].digest != corpus.digest


@pytest.mark.parametrize(
    "line", ["騎車前吃什麼", "cycling:", "cycling: \u200b", "baking: 騎車前吃什麼"]
)
def test_a_joint_line_without_another_expert_is_reported(
    folders: Mapping[str, Path], line: str
) -> None:
    """A line for two experts has a name, a colon and a question."""
    path = folders["baking"] / "joint.zh-TW.txt"
    path.write_text(f"{line}\n", encoding="utf-8")
    corpus, problems = read_corpus(folders)
    assert [(p.path, p.line, p.fatal) for p in problems] == [(path, 1, True)]
    assert "expected another expert, a colon and a question" in problems[0].message
    assert not any(u.other for u in corpus.utterances)


def test_a_joint_line_with_an_expert_that_is_not_there_is_passed_over(
    folders: Mapping[str, Path],
) -> None:
    """Experts may be taken away without spoiling the others' lines."""
    (folders["baking"] / "joint.en.txt").write_text("chess: what to bake for a tournament\n")
    corpus, problems = read_corpus(folders)
    assert [(p.line, p.fatal) for p in problems] == [(1, False)]
    assert "'chess' is no expert here" in problems[0].message
    assert not any(u.other for u in corpus.utterances)
