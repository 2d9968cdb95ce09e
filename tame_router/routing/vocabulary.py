"""The features that were learnt, by their columns: which of them a text has.

Of a word that was learnt all parts are known beforehand: it is looked up once, not part by
part. It finds what `features.extract` lists, each once, in the same order.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import filterfalse, repeat

from tame_router.routing.features import LONGEST_WORD, chinese_grams, pair, read_runs, word_parts

_UNKNOWN = repeat(-1)


class Vocabulary:
    """Look features up.

    Args:
        features: What was learnt, in the order of the columns; none twice.
    """

    def __init__(self, features: Sequence[str]) -> None:
        self._column = {feature: i for i, feature in enumerate(features)}
        self._words = dict(self._read_words(features))

    def look_up(self, reading: str) -> tuple[Collection[int], int]:
        """Give the columns of a text's known features, and count the unknown ones, each once.

        Args:
            reading: As `text.normalise` gives it.
        """
        column, words = self._column, self._words
        columns: list[int] = []
        unknown: set[str] = set()
        previous = ""
        for chinese, word in read_runs(reading):
            read = word[:LONGEST_WORD]
            learnt = words.get(read)
            if learnt:
                columns += learnt
            else:
                parts = chinese_grams(chinese) if chinese else word_parts(read)
                columns += map(column.get, parts, _UNKNOWN)
                unknown.update(filterfalse(column.__contains__, parts))
            if previous and read:
                both = pair(previous, read)
                columns.append(column.get(both, -1))
                if columns[-1] < 0:
                    unknown.add(both)
            previous = read
        found = dict.fromkeys(columns)
        found.pop(-1, None)
        return found.keys(), len(unknown)

    def _read_words(self, features: Iterable[str]) -> Iterable[tuple[str, tuple[int, ...]]]:
        """Give the words of which every part was learnt, and the columns of their parts."""
        for feature in features:
            word = feature[1:-1]
            if word and feature == f" {word} " and " " not in word:
                columns = [self._column.get(part, -1) for part in word_parts(word)]
                if min(columns) >= 0:
                    yield word, tuple(columns)
