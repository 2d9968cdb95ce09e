"""What may become a teaching line, and what may not."""

import re
from typing import Any

import pytest

from tame_router.feedback.review import Line, Material, Refusal
from tame_router.teaching.corpus import Corpus
from tests.feedback.given import said


def propose(corpus: Corpus, question: str, **fields: Any) -> Line | Refusal:
    """Propose a question for baking."""
    return Material(corpus).propose(said(question=question, **fields))


@pytest.mark.parametrize(
    ("question", "text", "language"),
    [
        ("貝果要先水煮多久", "貝果要先水煮多久", "zh-TW"),
        ("  Why are my\tcroissants\u3000 flat? \n", "Why are my croissants flat?", "en"),
        ("我的 croissant 為什麼不膨", "我的 croissant 為什麼不膨", "zh-TW"),
        ("#hashtag bread", "#hashtag bread", "en"),
        ("贝果要先水煮多久", "贝果要先水煮多久", "zh-TW"),
        ("？！", "？！", "zh-TW"),
    ],
)
def test_a_new_question_is_a_line_of_its_language(
    corpus: Corpus, question: str, text: str, language: str
) -> None:
    """White space becomes single spaces; nothing else of what was asked is changed."""
    line = propose(corpus, question)
    assert line == Line(expert="baking", language=language, text=text)


@pytest.mark.parametrize(
    ("question", "reason", "words"),
    [
        ("", "NO_QUESTION", "sent no question"),
        (" \n ", "NO_QUESTION", "sent no question"),
        ("first line\nsecond line", "SEVERAL_LINES", "has 2 lines"),
        ("one\u2028two", "SEVERAL_LINES", "has 2 lines"),
        ("a" * 2001, "TOO_LONG", "2,001 characters; .* at most 2,000"),
        ("bread\x1b[31m", "HIDDEN_CHARACTER", r"U\+001B"),
        ("bread\u202edaerb", "HIDDEN_CHARACTER", r"U\+202E"),
        ("# Breads", "HEADING", "heading"),
        ("#", "HEADING", "heading"),
        ("吐司 烤出來，中間塌陷怎麼辦！", "REPEATED", r"baking/utterances\.zh-TW\.txt:3"),
        ("DOES TOO MUCH YEAST make bread taste sour?", "REPEATED", r"baking/utterances\.en\.txt:5"),
        ("今天天氣怎麼樣", "OTHER_DOMAIN", r"general/utterances\.zh-TW\.txt:2"),
        ("今天天氣怎麼樣？", "OTHER_DOMAIN", r"general/utterances\.zh-TW\.txt:2"),
        (
            "How long should the bread dough ferment at room temperature?",
            "NEARLY_REPEATED",
            r"baking/utterances\.en\.txt:2 \(9\d%",
        ),
        (
            "my disc brakes squeal when they get wet or when they are wet",
            "NEARLY_REPEATED",
            r"cycling/utterances\.en\.txt",
        ),
    ],
)
def test_what_cannot_be_a_line_is_refused_with_its_reason(
    corpus: Corpus, question: str, reason: str, words: str
) -> None:
    """The reason is a stable word, and the message says where the other line stands."""
    refusal = propose(corpus, question)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason
    assert re.search(words, refusal.message)


def test_a_line_that_stands_there_already_needs_not_be_written(corpus: Corpus) -> None:
    """Letter by letter the same line of the same expert is no fault: it was written before."""
    line = propose(corpus, "酵母粉放太多會有什麼味道")
    assert isinstance(line, Line)
    assert line.standing


def test_an_expert_that_has_gone_is_refused(corpus: Corpus) -> None:
    """Feedback can be older than the experts there are."""
    refusal = propose(corpus, "貝果要先水煮多久", expert="alchemy")
    assert refusal == Refusal(reason="EXPERT_GONE", message="there is no expert alchemy any more")
