"""How encoders read a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.routing.encoder import LONGEST_TEXT_CHARS, encoder_reading


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("勞基法第十七條", "勞基法第十七條"),
        ("劳动合同", "勞動合同"),
        ("", ""),
        ("MOSFET", "MOSFET"),
        ("\ud800麵團\udfff", "麵團"),
        ("👍", "👍"),
    ],
)
def test_a_text_is_read_as_traditional(text: str, reading: str) -> None:
    """Simplified is converted, lone surrogates are left out, the rest stays."""
    assert encoder_reading(text) == reading


def test_a_long_text_is_read_by_its_ends() -> None:
    """The head and the tail of a long text are read, Simplified characters within them too."""
    reading = encoder_reading("劳" + "a" * 10_000 + "动")
    assert len(reading) <= LONGEST_TEXT_CHARS
    assert reading.startswith("勞")
    assert reading.endswith("動")


@given(st.text(alphabet=st.characters()))
def test_any_text_can_be_read(text: str) -> None:
    """Whatever was written, the reading can be encoded."""
    assert encoder_reading(text).encode() is not None
