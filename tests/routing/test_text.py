"""Text as the router reads it."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.routing.text import CHINESE, CJK, ENGLISH, head_and_tail, language, normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ＭＯＳＦＥＴ　怎麼選？", "mosfet 怎麼選?"),
        ("  Gate\tDRIVER \n ", "gate driver"),
        ("勞\u200b基\ufeff法", "勞基法"),
        ("a\x00b\x07c", "abc"),
        ("ﬁber ½ ①", "fiber 1⁄2 1"),
        ("STRASSE straße", "strasse strasse"),
        ("👨\u200d👩\u200d👧 ❤\ufe0f", "👨👩👧 ❤"),
        ("\ud800x", "x"),
        ("", ""),
        ("\u200b \u3000", ""),
    ],
)
def test_normalise_folds_what_only_looks_different(text: str, expected: str) -> None:
    """Width, case, white space, ligatures and invisible characters do not tell texts apart."""
    assert normalise(text) == expected


@given(st.text())
def test_normalise_twice_changes_nothing(text: str) -> None:
    """A normalised text is its own normal form."""
    once = normalise(text)
    assert normalise(once) == once


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_normalise_ascii_takes_no_other_way(text: str) -> None:
    """The short way for ASCII gives what the long way gives."""
    assert normalise(text) == normalise(f"{text} é").removesuffix("é").strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("車禍過失傷害怎麼和解", "zh-TW"),
        ("MOSFET 的 gate driver 要怎麼選?", "zh-TW"),
        ("示波器 probe 10x compensation", "zh-TW"),
        ("How do I choose a gate driver?", "en"),
        ("What does 不當得利 mean in the Civil Code of Taiwan?", "en"),
        ("ㄅㄆㄇ", "zh-TW"),
        ("12345 !!", "zh-TW"),
        ("", "zh-TW"),
    ],
)
def test_language_follows_the_share_of_chinese(text: str, expected: str) -> None:
    """English terms do not make a Chinese question English, nor the other way round."""
    assert language(text) == expected


@given(st.text(), st.integers(min_value=4, max_value=50))
def test_head_and_tail_keeps_both_ends_within_the_limit(text: str, limit: int) -> None:
    """A shortened text is never longer than asked, and begins and ends like the whole."""
    short = head_and_tail(text, limit)
    assert len(short) <= limit
    if len(text) <= limit:
        assert short == text
    else:
        assert text.startswith(short[: limit // 2])
        assert text.endswith(short[-(limit // 4) :])


@pytest.mark.parametrize(("wide", "narrow"), list(zip("，？！：；（）", ",?!:;()", strict=True)))
def test_full_width_punctuation_folds_as_nfkc_folds_it(wide: str, narrow: str) -> None:
    """What is replaced beforehand is what the normal form gives anyway."""
    assert unicodedata.normalize("NFKC", wide) == narrow
    assert normalise(f"電{wide}e{wide}\u0301") == unicodedata.normalize(
        "NFKC", f"電{narrow}e{narrow}\u0301"
    )


@given(st.text(st.characters() | st.sampled_from("電体国ㄅカa1_é，？\u200b ")))
def test_a_language_is_told_by_letters_one_by_one(text: str) -> None:
    """Counting runs at once gives what counting Chinese characters and words apart gives."""
    characters = len(re.findall(f"[{CJK}]", text))
    words = len(re.findall(rf"[^\W\d_{CJK}]+", text))
    english = bool(words) and characters < 0.4 * (characters + words)
    assert (language(text) == ENGLISH) is english


@given(st.text(st.characters(max_codepoint=127)))
def test_of_ascii_a_letter_tells_the_language(text: str) -> None:
    """ASCII with a letter is English, and without one nothing is known."""
    assert language(text) == (ENGLISH if any(c.isalpha() for c in text) else CHINESE)
