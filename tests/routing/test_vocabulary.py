"""The features that were learnt, by their columns."""

from hypothesis import given
from hypothesis import strategies as st

from tame_router.routing.features import LONGEST_WORD, extract
from tame_router.routing.text import normalise
from tame_router.routing.vocabulary import Vocabulary

LONG = "x" * LONGEST_WORD
PIECES = st.sampled_from(
    (
        "電晶體",
        "電",
        "晶體電",
        "驅動",
        "ㄅ",
        "gate",
        "driver",
        "gates",
        "c++",
        "r&d",
        "12v",
        "a",
        "ok",
    )
)
ODD = st.sampled_from((",", "？", "_", "zyqqux", LONG, LONG + "more"))
TEXTS = st.lists(PIECES | ODD | st.text(max_size=5)).map(" ".join) | st.lists(PIECES | ODD).map(
    "".join
)


@given(st.lists(TEXTS, max_size=4), TEXTS, st.integers(1, 5))
def test_looking_up_finds_what_extracting_lists(learnt: list[str], asked: str, kept: int) -> None:
    """Columns come once each, in the order of the features, and what is unknown is counted."""
    every = dict.fromkeys(f for text in learnt for f in extract(normalise(text)))
    features = [f for i, f in enumerate(every) if i % kept == 0]  # of some words only parts
    reading = normalise(asked)
    column = {feature: i for i, feature in enumerate(features)}
    wanted = dict.fromkeys(extract(reading))
    columns, unknown = Vocabulary(features).look_up(reading)
    assert list(columns) == [column[f] for f in wanted if f in column]
    assert unknown == sum(f not in column for f in wanted)
