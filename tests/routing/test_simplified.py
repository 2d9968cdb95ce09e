"""Simplified Chinese, read as if it had been written in Taiwan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.routing.simplified import count_simplified, to_traditional
from tame_router.routing.text import language, normalise


@pytest.mark.parametrize(
    ("simplified", "traditional"),
    [
        ("劳动合同到期不续签有补偿吗", "勞動合同到期不續簽有補償嗎"),
        ("电路板的阻抗", "電路板的阻抗"),
        ("软件", "軟體"),
        ("鼠标和内存", "滑鼠和記憶體"),
        ("头发发炎", "頭髮發炎"),
        ("MOSFET 怎么选？", "MOSFET 怎麼選？"),
    ],
)
def test_simplified_is_written_as_in_taiwan(simplified: str, traditional: str) -> None:
    """Characters are converted by their words, and some words too."""
    assert to_traditional(simplified) == traditional
    assert count_simplified(simplified) > 0
    assert count_simplified(traditional) == 0


@pytest.mark.parametrize(
    "text",
    [
        "皇后里面的干麵",
        "勞基法第十七條的資遣費",
        "这 is not read from ASCII"[2:],
        "",
        "👍",
        "かなカナ",
        "ㄅㄆㄇ",
    ],
)
def test_what_both_scripts_use_is_left_alone(text: str) -> None:
    """A text without a character that only Simplified uses is given back as it is."""
    assert to_traditional(text) == text
    assert count_simplified(text) == 0


@given(st.text(alphabet=st.characters(min_codepoint=0x3400, max_codepoint=0x9FFF), max_size=20))
def test_converting_twice_changes_nothing(text: str) -> None:
    """What was converted is Traditional, whatever stood there."""
    once = to_traditional(text)
    assert to_traditional(once) == once
    assert count_simplified(once) == 0
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("劳动合同到期不续签有补偿吗", "zh-CN"),
        ("MOSFET 的 gate driver 怎么选", "zh-CN"),
        ("身上起了一片疱疹已經三天了要看哪一科", "zh-TW"),
        ("勞基法的資遣費怎麼算", "zh-TW"),
        ("What does 劳动合同 mean in a labour contract?", "en"),
    ],
)
def test_simplified_is_a_language_of_its_own(text: str, expected: str) -> None:
    """Running Simplified text is zh-CN; a single variant in a Traditional one is not."""
    assert language(text) == expected
