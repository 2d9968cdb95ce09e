"""Pairs of lines that are almost the same."""

from hypothesis import given
from hypothesis import strategies as st

from tame_router.teaching.near_duplicates import Pair, find_near_duplicates

WORDS = st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=9).map(" ".join)


def test_each_line_meets_its_most_similar_one() -> None:
    """Of several earlier lines the nearest is named."""
    lines = [
        "one two three four five six seven eight nine ten",
        "one two three four five six seven eight nine eleven",
        "one two three four five six seven eight nine eleven twelve",
    ]
    assert find_near_duplicates(lines) == [
        Pair(first=0, second=1, similarity=9 / 11),
        Pair(first=1, second=2, similarity=10 / 11),
    ]


def test_chinese_is_compared_by_pairs_of_characters() -> None:
    """One character changed at the end of a long line leaves most pairs."""
    (pair,) = find_near_duplicates(
        ["公司積欠加班費應該向哪裡申訴", "公司積欠加班費應該向哪裡申請", "蛋"]
    )
    assert pair.similarity == 12 / 14


@given(st.lists(WORDS, max_size=12), st.floats(min_value=0.3, max_value=1.0))
def test_it_finds_what_comparing_all_pairs_finds(lines: list[str], threshold: float) -> None:
    """Meeting at rare tokens loses no pair."""
    sets = [set(line.split()) for line in lines]
    expected = {}
    for second, here in enumerate(sets):
        near = [
            (len(here & there) / len(here | there), -first)
            for first, there in enumerate(sets[:second])
            if here and there
        ]
        best = max(near, default=(0.0, 0))
        if best[0] >= threshold:
            expected[second] = (-best[1], best[0])
    found = {p.second: (p.first, p.similarity) for p in find_near_duplicates(lines, threshold)}
    assert found == expected
