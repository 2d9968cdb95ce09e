"""JSON from a base model is valid when it leaves, and unchanged where it was."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tame_router.backends.openai.json_strings import JsonStrings

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def passed(text: str, size: int) -> str:
    """Feed a text in pieces of a size."""
    strings = JsonStrings()
    return "".join(strings.feed(text[at : at + size]) for at in range(0, len(text), size))


@given(VALUES, st.integers(1, 7), st.sampled_from([None, 2]))
def test_valid_json_passes_as_it_is(value: object, size: int, indent: int | None) -> None:
    """However it is cut, and with line ends between its parts."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    assert passed(text, size) == text


@given(st.lists(st.sampled_from(["a", "\n", "\t", "\x01", "\\", '"', "發"])), st.integers(1, 5))
def test_raw_control_characters_in_strings_are_escaped(marks: list[str], size: int) -> None:
    """The value is what was meant: the same characters."""
    raw = "".join({"\\": "\\\\", '"': '\\"'}.get(mark, mark) for mark in marks)
    assert json.loads(passed(f'{{"summary":"{raw}"}}', size)) == {"summary": "".join(marks)}


def test_a_backslash_before_a_raw_line_end_is_its_escape() -> None:
    """Nothing is doubled."""
    assert json.loads(passed('{"a":"b\\\nc"}', 3)) == {"a": "b\nc"}
