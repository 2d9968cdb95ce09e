"""How a turn is worded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.routing.wording import read_wording


@pytest.mark.parametrize(
    ("text", "subject_words", "signs"),
    [
        ("為什麼？", 0, 0),
        ("那罰則呢？", 1, 2),
        ("它的增益要怎麼算", 1, 2),
        ("那第二天呢？", 0, 2),
        ("今天天氣如何", 1, 0),
        ("離婚後小孩的監護權怎麼判", 4, 0),
        ("MOSFET 的 gate driver 要怎麼選？", 3.5, 0),
        ("Why is that?", 0, 2),
        ("and what about the deadline?", 1, 1),
        ("what about paracetamol", 1, 2),
        ("What's it?", 0, 1),
        ("I didn’t get it", 0, 1),
        ("ＨＯＷ　ＬＯＮＧ", 0, 0),
        ("", 0, 0),
    ],
)
def test_subject_and_signs(text: str, subject_words: float, signs: int) -> None:
    """Words of a subject are counted, and signs that point back are found."""
    wording = read_wording(text)
    assert (wording.subject_words, wording.signs) == (subject_words, signs)


@given(st.text())
def test_any_text_has_a_wording(text: str) -> None:
    """Counts are in range whatever is written."""
    wording = read_wording(text)
    assert wording.subject_words >= 0
    assert 0 <= wording.signs <= 3
