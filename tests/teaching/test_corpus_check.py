"""What teaching lines say about each other."""

from collections.abc import Mapping
from pathlib import Path

from tame_router.teaching.corpus import Corpus, read_corpus
from tame_router.teaching.corpus_check import check_corpus

FEW: Mapping[str, int] = {"zh-TW": 1, "en": 1}


def add(path: Path, *lines: str) -> None:
    """Append lines to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_clean_lines_have_no_problem(corpus: Corpus) -> None:
    """Nothing is reported where nothing is wrong."""
    assert check_corpus(corpus, FEW) == []


def test_too_few_lines_are_advice(corpus: Corpus) -> None:
    """A file with fewer lines than advised is named with its count."""
    problems = check_corpus(corpus)
    assert len(problems) == 6
    assert {p.message for p in problems} == {
        "10 lines; at least 150 are advised",
        "10 lines; at least 100 are advised",
    }
    assert not any(p.fatal for p in problems)


def test_a_line_twice_in_a_domain_is_advice(folders: Mapping[str, Path]) -> None:
    """Case, spaces and punctuation do not make another line of it."""
    path = folders["baking"] / "utterances.en.txt"
    add(path, "MY sourdough loaf is dense, and gummy inside!")
    (problem,) = check_corpus(read_corpus(folders)[0], FEW)
    assert (problem.path, problem.line, problem.fatal) == (path, 13, False)
    assert problem.message == "the same line as line 3; remove one"


def test_a_line_in_two_domains_is_fatal(folders: Mapping[str, Path]) -> None:
    """The later place names the earlier one."""
    path = folders["general"] / "utterances.zh-TW.txt"
    add(path, "自行車座墊高度怎麼量？")
    (problem,) = check_corpus(read_corpus(folders)[0], FEW)
    assert (problem.path, problem.line, problem.fatal) == (path, 13, True)
    assert "also in cycling/utterances.zh-TW.txt:9" in problem.message


def test_a_line_in_both_files_of_a_domain_names_the_file(folders: Mapping[str, Path]) -> None:
    """Within one expert the other file is named without its folder."""
    add(folders["baking"] / "utterances.en.txt", "戚風蛋糕脫模一直沾黏")
    (problem,) = check_corpus(read_corpus(folders)[0], FEW)
    assert problem.message == "the same line as utterances.zh-TW.txt:8; remove one"


def test_almost_the_same_line_is_advice(folders: Mapping[str, Path]) -> None:
    """A line in which one word was changed is reported once, with how similar it is."""
    path = folders["cycling"] / "utterances.en.txt"
    add(path, "Which chain lube works for gravel rides in the snow?")
    (problem,) = check_corpus(read_corpus(folders)[0], FEW)
    assert (problem.line, problem.fatal) == (13, False)
    assert problem.message.startswith("almost the same as line 11 (82% of their words)")


def test_punctuation_alone_is_told_apart(folders: Mapping[str, Path]) -> None:
    """Lines without a letter are the same only when they are spelt the same."""
    add(folders["general"] / "utterances.en.txt", "?!", "...")
    assert check_corpus(read_corpus(folders)[0], FEW) == []
