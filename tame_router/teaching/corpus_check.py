"""What teaching lines say about each other: repeated, contradictory, too few.

Values in, values out; the files were read in `corpus`.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tame_router.catalog.problem import Problem
from tame_router.teaching.corpus import Corpus, Utterance
from tame_router.teaching.near_duplicates import find_near_duplicates

ADVISED_LINES: Mapping[str, int] = {"zh-TW": 150, "en": 100}
"""Lines a file should have at the least before its expert is told apart well."""


def check_corpus(corpus: Corpus, advised_lines: Mapping[str, int] = ADVISED_LINES) -> list[Problem]:
    """List lines that stand twice, or almost, and files with too few; in order of place.

    A line that stands in two domains is fatal, because it teaches a contradiction;
    everything else is advice.

    Args:
        corpus: What to check.
        advised_lines: Least number of lines of a file by its language.
    """
    keys = [line_key(u.reading) for u in corpus.utterances]
    problems = _repeated(corpus, keys)
    problems += _nearly_repeated(corpus, keys)
    problems += _too_few(corpus, advised_lines)
    return sorted(problems)


def line_key(reading: str) -> str:
    """Spell a line without spaces and punctuation, unless it has nothing else.

    Args:
        reading: A normalised line.
    """
    return "".join(filter(str.isalnum, reading)) or reading


def _repeated(corpus: Corpus, keys: list[str]) -> list[Problem]:
    first: dict[str, Utterance] = {}
    problems = []
    for key, here in zip(keys, corpus.utterances, strict=True):
        there = first.setdefault(key, here)
        if there is here:
            continue
        if there.expert == here.expert:
            message = f"the same line as {_place(here, there)}; remove one"
            problems.append(_problem(here, message, fatal=False))
        else:
            message = f"stands in two domains, also in {_place(here, there)}; keep it in one"
            problems.append(_problem(here, message, fatal=True))
    return problems


def _nearly_repeated(corpus: Corpus, keys: list[str]) -> list[Problem]:
    unique = list({key: i for i, key in reversed(list(enumerate(keys)))}.values())
    unique.sort()
    problems = []
    for pair in find_near_duplicates([corpus.utterances[i].reading for i in unique]):
        there, here = (corpus.utterances[unique[i]] for i in (pair.first, pair.second))
        message = (
            f"almost the same as {_place(here, there)} ({pair.similarity:.0%} of their words);"
            " say something else"
        )
        problems.append(_problem(here, message, fatal=False))
    return problems


def _too_few(corpus: Corpus, advised_lines: Mapping[str, int]) -> list[Problem]:
    alone = (u for u in corpus.utterances if not u.other)
    counts: Counter[tuple[Path, str]] = Counter((u.path, u.language) for u in alone)
    return [
        Problem(
            path=path,
            line=0,
            message=f"{count} lines; at least {advised_lines[language]} are advised",
            fatal=False,
        )
        for (path, language), count in counts.items()
        if count < advised_lines.get(language, 0)
    ]


def _problem(utterance: Utterance, message: str, *, fatal: bool) -> Problem:
    return Problem(path=utterance.path, line=utterance.line, message=message, fatal=fatal)


def _place(here: Utterance, there: Utterance) -> str:
    if there.path == here.path:
        return f"line {there.line}"
    if there.expert == here.expert:
        return f"{there.path.name}:{there.line}"
    return f"{there.expert}/{there.path.name}:{there.line}"
