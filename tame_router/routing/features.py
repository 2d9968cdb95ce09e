"""Features of a text: character n-grams of Chinese, words and their parts of the rest.

Word boundaries do not exist in Chinese, so every run of Chinese characters gives its
characters and their pairs; on held-out teaching lines, longer n-grams added time and no
accuracy. Every other word gives itself, its pair with the word
before it, and its n-grams of 3 to 5 characters, with a space on either side to tell
beginnings and ends from middles. Digits are folded to `0`: a figure tells the domain by
its shape (`000v`, `0.0mm`), not by its value.
"""

import re
from operator import add

from tame_router.routing.text import CJK

LONGEST_CHINESE = 2
"""Longest n-gram of a Chinese run, in characters."""

SHORTEST_PART = 3
LONGEST_PART = 5
"""Shortest and longest n-gram of a word, in characters, its two spaces counted."""

LONGEST_WORD = 40
"""Characters of a word that are read; the rest is a link, a hash or noise."""

RECIPE = f"1: chinese 1-{LONGEST_CHINESE}, words, pairs, parts {SHORTEST_PART}-{LONGEST_PART}"
"""Names what `extract` lists for a text as it was written; a model fits one recipe only.

The number counts changes that the rest does not show, those of normalising included.
"""

_DIGIT = re.compile(r"\d")
_RUN = re.compile(rf"([{CJK}]+)|([^\W_{CJK}]+(?:['.+#/&-][^\W_{CJK}]+)*[+#%]*)")
_ASCII_RUN = re.compile(r"()([^\W_]+(?:['.+#/&-][^\W_]+)*[+#%]*)", re.ASCII)


def extract(text: str) -> list[str]:
    """List the features of a normalised text, one entry for each occurrence.

    Args:
        text: As `text.normalise` gives it.
    """
    found: list[str] = []
    previous = ""
    for chinese, word in read_runs(text):
        read = word[:LONGEST_WORD]
        found += chinese_grams(chinese) if chinese else word_parts(read)
        if previous and read:
            found.append(pair(previous, read))
        previous = read
    return found


def read_runs(text: str) -> list[tuple[str, str]]:
    """Cut a normalised text into runs of Chinese and words, digits folded.

    Returns:
        Of each the one that it is, of any length, and an empty text for the other.
    """
    runs = _ASCII_RUN if text.isascii() else _RUN  # the same, in a third of the time
    return runs.findall(_DIGIT.sub("0", text))


def chinese_grams(run: str) -> list[str]:
    """List the n-grams of a run of Chinese, the short ones first."""
    grams = list(run)
    found = grams
    for size in range(1, LONGEST_CHINESE):  # each with the character behind it: no slice
        grams = list(map(add, grams, run[size:]))
        found = found + grams
    return found


def word_parts(word: str) -> list[str]:
    """List what one word gives: itself between two spaces, and the n-grams of that."""
    padded = f" {word} "
    length = len(padded)
    found = [padded]
    grams = [padded[i : i + SHORTEST_PART] for i in range(length - SHORTEST_PART + 1)]
    for size in range(SHORTEST_PART, min(LONGEST_PART, length - 1) + 1):
        found += grams
        grams = list(map(add, grams, padded[size:]))
    return found


def pair(one: str, other: str) -> str:
    """Give the feature of two words that follow one another."""
    return f"{one} {other}"
