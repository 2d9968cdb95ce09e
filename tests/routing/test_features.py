"""Features of a text."""

from hypothesis import given
from hypothesis import strategies as st

from tame_router.routing.features import LONGEST_WORD, extract, read_runs
from tame_router.routing.text import normalise


def test_chinese_gives_its_characters_and_their_pairs() -> None:
    """A run of Chinese gives every n-gram of one and two characters."""
    assert extract("電晶體") == ["電", "晶", "體", "電晶", "晶體"]
    assert extract("電，晶") == ["電", "晶"]


def test_words_give_themselves_their_parts_and_their_pairs() -> None:
    """A word gives itself and its parts with its ends marked, and its pair with the one before."""
    assert extract("op amp") == [
        " op ",
        " op",
        "op ",
        " amp ",
        " am",
        "amp",
        "mp ",
        " amp",
        "amp ",
        "op amp",
    ]


def test_chinese_between_words_parts_them() -> None:
    """Words on either side of Chinese are no pair."""
    assert "gate driver" not in extract("gate 與 driver")
    assert "gate driver" in extract("gate driver")


def test_digits_are_folded() -> None:
    """A figure counts by its shape."""
    assert extract("240v") == extract("110v")
    assert " c++ " in extract("c++")


def test_nothing_to_read_gives_nothing() -> None:
    """Punctuation alone has no feature."""
    assert extract("") == []
    assert extract("?! …") == []


@given(st.text())
def test_any_text_has_features_in_bound(text: str) -> None:
    """Extraction takes any text, and the number of features grows with its length at most."""
    reading = normalise(text)
    found = extract(reading)
    assert len(found) <= 5 * len(reading) + 5
    assert all(len(f) <= 2 * LONGEST_WORD + 1 for f in found)


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_takes_no_other_way(text: str) -> None:
    """The short way for ASCII reads the words that the long way reads."""
    reading = normalise(text)
    assert read_runs(reading) == read_runs(f"{reading} 電")[:-1]
