"""Stop strings in a text that arrives in pieces."""

from hypothesis import given
from hypothesis import strategies as st

from tame_router.backends.replicas.stop_strings import StopStrings

LETTERS = st.text("ab。", max_size=20)


@given(LETTERS, st.lists(st.text("ab。", min_size=1, max_size=3), max_size=3), st.data())
def test_the_text_ends_before_the_first_stop_string(
    text: str, stops: list[str], data: st.DataObject
) -> None:
    """However the text is cut, what passes stands before the stop string that ends first."""
    ends = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
    searched, passed, rest = StopStrings(stops), "", text
    while rest and not searched.found:
        size = data.draw(st.integers(1, len(rest)))
        passed += searched.feed(rest[:size])
        rest = rest[size:]
        assert text.startswith(passed)
    passed += searched.rest()
    assert searched.found is bool(ends)
    assert passed == (text[: min(ends)[1]] if ends else text)


def test_only_what_may_begin_one_is_held_back() -> None:
    """A text that cannot become a stop string is not kept waiting."""
    searched = StopStrings(["USER:"])
    assert searched.feed("a US") == "a "
    assert searched.feed("A") == "USA"
    assert searched.feed("U") == ""
    assert searched.feed("SER:!") == ""
    assert (searched.found, searched.end) == (True, len("a USAUSER:"))
