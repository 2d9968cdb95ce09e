"""What Simplified phrases become in Taiwan, and whether one may still go on.

Read once from `phrases.tsv`, which stands beside this module: some fifty thousand phrases in
about 18 MB. It decides nothing about a text; `han_run` does.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

LONGEST_CHARS: Final = 12
"""Characters of the longest phrase."""

OPEN: Final = 0
"""Instead of a length: the phrase may still go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """The table.

    Attributes:
        ordered: All phrases of two characters or more, sorted.
        pairs: The first two characters of each.
        spelt: Phrases that are not spelt as their characters are.
        default: How a character is spelt where no phrase says otherwise; of equal length.
        only: Characters that modern Taiwanese text never has.
        telling: Phrases that are Simplified though none of their characters is.
        words: The words that Taiwan uses instead, by the Simplified one.
        plain: For `str.translate`: Traditional characters as Simplified writes them.
        traditional: Characters that Simplified text never has.
        japanese: Those of `only` that Japanese writes too.
        heads: Characters that only such a word makes interesting, with those it goes on with.
        interesting: Finds the characters that may be changed, or begin what is left alone.
    """

    ordered: Sequence[str]
    pairs: frozenset[str]
    spelt: Mapping[str, str]
    default: Mapping[str, str]
    only: frozenset[str]
    telling: frozenset[str]
    words: Mapping[str, str]
    plain: Mapping[int, str]
    traditional: frozenset[str]
    japanese: frozenset[str]
    heads: Mapping[str, frozenset[str]]
    interesting: re.Pattern[str]

    def longest(self, text: str, *, more: bool) -> int:
        """Tell how many characters the longest phrase at the beginning of a text has.

        Args:
            text: Simplified characters, at least one.
            more: Whether the text may go on.

        Returns:
            At least 1, or `OPEN` where what follows may make it longer.
        """
        if len(text) > 1 and text[:2] not in self.pairs:
            return 1
        ordered, found, length, at = self.ordered, 1, 2, 0
        while length <= len(text):
            head = text[:length]
            at = bisect_left(ordered, head, at)
            if at == len(ordered) or not ordered[at].startswith(head):
                return found
            if ordered[at] == head:
                found = length
            length += 1
        if not more:
            return found
        return OPEN if self._goes_on(text, at) else found

    def spell(self, phrase: str) -> str:
        """Spell a phrase as Taiwan does; both have the same length."""
        return self.spelt.get(phrase) or "".join([self.default.get(c, c) for c in phrase])

    def _goes_on(self, text: str, at: int) -> bool:
        ordered = self.ordered
        at = bisect_left(ordered, text, at)
        if at < len(ordered) and ordered[at] == text:
            at += 1
        return at < len(ordered) and ordered[at].startswith(text)


@cache
def load_phrases() -> Phrases:
    """Read the table; it takes a tenth of a second, once."""
    text = resources.files(__package__).joinpath("phrases.tsv").read_text(encoding="utf-8")
    ordered: list[str] = []
    single: dict[str, str] = {}
    spelt: dict[str, str] = {}
    only: set[str] = set()
    words: dict[str, str] = {}
    for line in text.splitlines():
        phrase, _, rest = line.partition("\t")
        if phrase[0] == "#":
            continue
        if len(phrase) > 1:
            ordered.append(phrase)
        if not rest:
            continue
        written, mark, word = (*rest.split("\t"), "", "")[:3]
        if written:
            (spelt if len(phrase) > 1 else single)[phrase] = written
        if mark:
            only.add(phrase)
        if word:
            words[phrase] = word
    return _phrases(ordered, spelt, single, frozenset(only), words)


def _phrases(
    ordered: list[str],
    spelt: Mapping[str, str],
    default: Mapping[str, str],
    only: frozenset[str],
    words: Mapping[str, str],
) -> Phrases:
    changed = [pair for entry in default.items() for pair in zip(*entry, strict=True)]
    for phrase, spelling in spelt.items():
        changed += [(a, b) for a, b in zip(phrase, spelling, strict=True) if a != b]
    in_simplified = set("".join(ordered)).union(default)
    plain: dict[int, str] = {}
    for simplified, traditional in changed:
        if traditional not in in_simplified:
            plain.setdefault(ord(traditional), simplified)
    may_change = {simplified for simplified, _ in changed}
    heads: dict[str, frozenset[str]] = {}
    for word in words:
        if word[0] not in may_change:
            heads[word[0]] = heads.get(word[0], frozenset()) | {word[1]}
    found = "".join(sorted(may_change.union(heads)))
    return Phrases(
        ordered=tuple(ordered),
        pairs=frozenset(phrase[:2] for phrase in ordered),
        spelt=spelt,
        default=default,
        only=frozenset(phrase for phrase in only if len(phrase) == 1),
        telling=frozenset(phrase for phrase in only if len(phrase) > 1),
        words=words,
        plain=plain,
        traditional=frozenset(map(chr, plain)),
        japanese=frozenset(c for c in only if len(c) == 1 and in_japanese(c)),
        heads=heads,
        interesting=re.compile(f"[{found}`~/]"),
    )


def in_japanese(character: str) -> bool:
    """Tell whether Japanese encodings have a place for a character."""
    try:
        character.encode("shift_jis")
    except UnicodeEncodeError:
        return False
    return True
