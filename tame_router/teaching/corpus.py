"""Teaching material: the lines of `experts/<name>/utterances.<language>.txt`.

A line is one utterance; a line that starts with `# ` is a heading for readers, and blank
lines are skipped. Questions that need two experts stand in `joint.<language>.txt` of the
one that leads, each behind the name of the other: `medical: 手術失敗可以告醫院嗎？`.
Reading reports what cannot be read; what the lines say about each other is judged in
`corpus_check`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tame_router.catalog.expert import LANGUAGES
from tame_router.catalog.problem import Problem
from tame_router.errors import CatalogError
from tame_router.routing.text import normalise
from tame_router.teaching.line import Line, read_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One teaching line.

    Attributes:
        text: As written, without white space around it.
        expert: Expert it belongs to.
        language: Language of its file.
        path: Its file.
        line: Its line, from 1.
        reading: The text as the router reads it, `text.normalise`d.
        other: The second expert it needs; empty: none.
    """

    text: str
    expert: str
    language: str
    path: Path
    line: int
    reading: str = field(repr=False)
    other: str = ""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """All teaching lines: experts by name, languages in order, lines as they stand.

    Attributes:
        experts: The experts that are to be told apart, sorted; one may be without lines.
        utterances: Their lines.
    """

    experts: tuple[str, ...]
    utterances: tuple[Utterance, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, over experts and over what each line teaches.

        It changes exactly when the teaching material does: not with headings, blank lines,
        folders or spellings that normalising removes.
        """
        digest = hashlib.sha256()
        for name in self.experts:
            _update(digest, (name,))
        for u in self.utterances:
            _update(digest, (u.expert, u.other, u.language, u.reading))
        return digest.hexdigest()


def _update(digest: "hashlib._Hash", parts: Iterable[str]) -> None:
    digest.update(b"\n")
    for part in parts:
        data = part.encode()
        digest.update(b"%d:" % len(data))
        digest.update(data)


def read_corpus(folders: Mapping[str, Path]) -> tuple[Corpus, list[Problem]]:
    """Read the teaching lines of all experts, and list what could not be read.

    Args:
        folders: Folder of each expert, by its name.
    """
    utterances: list[Utterance] = []
    problems: list[Problem] = []
    for expert in sorted(folders):
        lines: list[Utterance] = []
        for language in LANGUAGES:
            read, found = _read_alone(folders[expert], expert, language)
            lines += read
            problems += found
        if not lines:
            message = "has no teaching line in any language; write utterances.zh-TW.txt"
            problems.append(Problem(path=folders[expert], line=0, message=message))
        for language in LANGUAGES:
            read, found = _read_joint(folders[expert], expert, language, frozenset(folders))
            lines += read
            problems += found
        utterances += lines
    return Corpus(experts=tuple(sorted(folders)), utterances=tuple(utterances)), problems


def load_corpus(folders: Mapping[str, Path]) -> Corpus:
    """Read the teaching lines of all experts.

    Args:
        folders: Folder of each expert, by its name.

    Raises:
        CatalogError: When a file of them cannot be read.
    """
    corpus, problems = read_corpus(folders)
    fatal = [str(problem) for problem in problems if problem.fatal]
    if fatal:
        raise CatalogError("\n".join(["the teaching lines cannot be used:", *fatal]))
    return corpus


def _read_alone(folder: Path, expert: str, language: str) -> tuple[list[Utterance], list[Problem]]:
    path = folder / f"utterances.{language}.txt"
    if not path.exists():
        message = f"missing; the router learns {language} from it"
        return [], [Problem(path=path, line=0, message=message, fatal=False)]
    lines, problems = read_lines(path)
    if not lines and not problems:
        problems.append(Problem(path=path, line=0, message="empty; write one utterance a line"))
    return [_utterance(line, expert, language, path) for line in lines], problems


def _read_joint(
    folder: Path, expert: str, language: str, experts: frozenset[str]
) -> tuple[list[Utterance], list[Problem]]:
    """Read questions that need two experts; most experts have none."""
    path = folder / f"joint.{language}.txt"
    if not path.exists():
        return [], []
    lines, problems = read_lines(path)
    utterances = []
    for line in lines:
        name, colon, text = line.text.partition(":")
        other, question = name.strip(), text.strip()
        if not colon or not normalise(question) or other == expert:
            message = "expected another expert, a colon and a question: `medical: …？`"
            problems.append(Problem(path=path, line=line.number, message=message))
        elif other not in experts:
            message = f"{other[:64]!r} is no expert here; the line is passed over"
            problems.append(Problem(path=path, line=line.number, message=message, fatal=False))
        else:
            asked = Line(number=line.number, text=question)
            utterances.append(_utterance(asked, expert, language, path, other))
    return utterances, problems


def _utterance(line: Line, expert: str, language: str, path: Path, other: str = "") -> Utterance:
    return Utterance(
        text=line.text,
        expert=expert,
        language=language,
        path=path,
        line=line.number,
        reading=normalise(line.text),
        other=other,
    )
