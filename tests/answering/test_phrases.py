"""The table of phrases: what is longest, what may go on, and where it is from."""

import opencc
import pytest

from deploy.local.phrase_choices import ONLY, WORDS
from deploy.local.phrase_table import TABLE, lines
from tame_router.answering.phrases import LONGEST_CHARS, OPEN, load_phrases
from tame_router.routing.simplified import count_simplified

PHRASES = load_phrases()


@pytest.mark.parametrize(
    ("text", "length"),
    [("皇后说", 2), ("说", 1), ("白发苍苍的", 4), ("头发", 2), ("面", 1), ("Ω", 1), ("白发朱", 2)],
)
def test_the_longest_phrase_is_found(text: str, length: int) -> None:
    """Of all phrases at a beginning the longest counts; one that breaks off does not."""
    assert PHRASES.longest(text, more=False) == length


@pytest.mark.parametrize(
    ("text", "goes_on"), [("白发", True), ("白发苍", True), ("面", True), ("的Ω", False)]
)
def test_what_may_go_on_is_not_decided(text: str, goes_on: bool) -> None:
    """While a longer phrase is possible the length is open."""
    assert (PHRASES.longest(text, more=True) == OPEN) is goes_on


def test_the_table_is_what_opencc_and_our_choices_make() -> None:
    """The committed table is current, where the OpenCC is installed that it names."""
    committed = TABLE.read_text(encoding="utf-8")
    if f"OpenCC {opencc.__version__} " not in committed:
        pytest.skip("another OpenCC is installed than the table was made from")
    assert [line for line in committed.splitlines() if line[0] != "#"] == lines()


def test_spellings_fit_their_phrases() -> None:
    """A spelling has its phrase's length, so that what stands there already can be kept."""
    assert all(len(phrase) == len(spelt) for phrase, spelt in PHRASES.spelt.items())
    assert all(len(c) == len(spelt) == 1 for c, spelt in PHRASES.default.items())
    assert max(map(len, PHRASES.ordered)) == LONGEST_CHARS
    assert list(PHRASES.ordered) == sorted(set(PHRASES.ordered))


def test_what_proves_simplified_is_what_routing_counts() -> None:
    """Routing and guard agree on what only Simplified uses, but for characters named one by one."""
    differing = {c for c in PHRASES.only if not count_simplified(c)}
    assert differing == ONLY
    assert PHRASES.only.isdisjoint(PHRASES.traditional)


def test_words_have_no_simplified_characters_left() -> None:
    """The words that Taiwan uses instead are Traditional themselves."""
    assert not PHRASES.only.intersection("".join(WORDS.values()))
    assert PHRASES.words == WORDS
