"""The two-domain questions: what stands in the file, and what is refused."""

import json
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from bench.pair_question import Fact, PairQuestion, normalise, read_pair_questions
from tame_router.errors import CatalogError

DOMAINS = ("legal", "medical", "manufacturing", "electronics")
ROW: dict[str, Any] = {
    "id": "p1",
    "lang": "zh-TW",
    "kind": "pair",
    "domains": ["legal", "medical"],
    "question": "開刀失敗可以告醫院嗎？",
    "facts": {
        "legal": [{"fact": "時效二年", "any": ["二年"]}],
        "medical": [{"fact": "先看傷口", "any": ["傷口"]}],
    },
}


@pytest.fixture(scope="module")
def questions() -> tuple[PairQuestion, ...]:
    """Give the questions of the repository."""
    return read_pair_questions()


def test_every_pair_of_domains_is_asked_about(questions: tuple[PairQuestion, ...]) -> None:
    """There are nine questions a pair, two thirds of them in Chinese."""
    pairs = Counter(frozenset(question.domains) for question in questions)
    assert pairs == dict.fromkeys(map(frozenset, combinations(DOMAINS, 2)), 9)
    languages = Counter(question.lang for question in questions)
    assert languages == {"zh-TW": 36, "en": 18}
    assert len({question.question for question in questions}) == len(questions)


def test_each_side_should_bring_two_to_four_facts(questions: tuple[PairQuestion, ...]) -> None:
    """No side of a question weighs much more than the other."""
    for question in questions:
        for domain in question.domains:
            assert 2 <= len(question.facts[domain]) <= 4, question.id


def test_a_facts_own_sentence_brings_it(questions: tuple[PairQuestion, ...]) -> None:
    """Patterns find what the fact says, so a slip in one of them is seen."""
    for question in questions:
        for facts in question.facts.values():
            for fact in facts:
                assert fact.found(normalise(fact.fact)), f"{question.id}: {fact.fact}"


def test_repeating_the_question_brings_nothing(questions: tuple[PairQuestion, ...]) -> None:
    """An answer that only echoes the question earns no fact."""
    for question in questions:
        echoed = normalise(question.question)
        for facts in question.facts.values():
            for fact in facts:
                assert not fact.found(echoed), f"{question.id}: {fact.fact}"


def test_patterns_see_through_case_and_full_width() -> None:
    """Full-width digits, letters and signs count like others, capitals like small letters."""
    fact = Fact(fact="at least 95%", any=(r"95\s*%", "dose"))
    assert fact.found(normalise("正常在９５％以上"))
    assert fact.found(normalise("Ｄｏｓｅ"))
    assert not fact.found(normalise("九十"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"domains": ["legal", "legal"]}, "two different domains"),
        ({"facts": {"legal": ROW["facts"]["legal"]}}, "two different domains"),
        ({"facts": ROW["facts"] | {"medical": []}}, "facts.medical"),
        ({"facts": ROW["facts"] | {"medical": [{"fact": "x", "any": ["("]}]}}, "no regular"),
        ({"kind": "text"}, "kind"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_faulty_line_is_named(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    """A line that cannot be used is told with its number and what is wrong."""
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, "id": "p2", **change}), "utf-8")
    with pytest.raises(CatalogError, match=rf"pairs\.jsonl:2: .*{expected}"):
        read_pair_questions(path)


def test_what_is_not_a_file_of_questions_is_refused(tmp_path: Path) -> None:
    """An id twice, an empty file and a missing one are told."""
    path = tmp_path / "pairs.jsonl"
    with pytest.raises(CatalogError, match="cannot be read"):
        read_pair_questions(path)
    path.write_text("\n", "utf-8")
    with pytest.raises(CatalogError, match="empty"):
        read_pair_questions(path)
    path.write_text(f"{json.dumps(ROW)}\n{json.dumps(ROW)}\n", "utf-8")
    with pytest.raises(CatalogError, match=r":2: id 'p1' stands twice"):
        read_pair_questions(path)
