"""Names that strangers send stay few."""

from hypothesis import given
from hypothesis import strategies as st

from tame_router.telemetry.names import OTHER, Names


@given(st.lists(st.text(), max_size=40), st.integers(0, 10))
def test_never_more_than_the_limit_and_other(names: list[str], limit: int) -> None:
    """Whatever comes, there are at most so many names, and each keeps what it was called."""
    bounded = Names(limit)
    first = [bounded.bounded(name) for name in names]
    assert len(set(first) - {OTHER}) <= limit
    assert [bounded.bounded(name) for name in names] == first
    assert all(called in (name, OTHER) for name, called in zip(names, first, strict=True))


def test_what_is_known_comes_first() -> None:
    """Names known from the start take their places before anyone asks."""
    bounded = Names(2, known=("b", "a", "c"))
    assert [bounded.bounded(name) for name in "abc"] == ["a", "b", OTHER]
