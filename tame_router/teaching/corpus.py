"""Teaching material: the lines of `experts/<name>/utterances.<language>.txt`.

A line is one utterance; a line that starts with `# ` is a heading for readers, and blank
lines are skipped. Reading reports what cannot be read; what the lines say about each
other is judged in `corpus_check`.
"""

import codecs
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tame_router.catalog.expert import LANGUAGES
from tame_router.catalog.problem import Problem
from tame_router.errors import CatalogError
from tame_router.routing.text import normalise

LONGEST_LINE_CHARS = 2_000
"""Longest utterance; a longer line is a document pasted by mistake."""


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
    """

    text: str
    expert: str
    language: str
    path: Path
    line: int
    reading: str = field(repr=False)


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
        """SHA-256, in hexadecimal, over experts and over (expert, language, reading) of all lines.

        It changes exactly when the teaching material does: not with headings, blank lines,
        folders or spellings that normalising removes.
        """
        digest = hashlib.sha256()
        for name in self.experts:
            _update(digest, (name,))
        for u in self.utterances:
            _update(digest, (u.expert, u.language, u.reading))
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
            path = folders[expert] / f"utterances.{language}.txt"
            read, found = _read_file(path, expert, language)
            lines += read
            problems += found
        if not lines:
            message = "has no teaching line in any language; write utterances.zh-TW.txt"
            problems.append(Problem(path=folders[expert], line=0, message=message))
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


def _read_file(path: Path, expert: str, language: str) -> tuple[list[Utterance], list[Problem]]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        message = f"missing; the router learns {language} from it"
        return [], [Problem(path=path, line=0, message=message, fatal=False)]
    except OSError as error:
        return [], [Problem(path=path, line=0, message=f"cannot be read: {error.strerror}")]
    utterances: list[Utterance] = []
    problems: list[Problem] = []
    body = data.removeprefix(codecs.BOM_UTF8)
    offset = len(data) - len(body)
    for number, raw in enumerate(body.split(b"\n"), start=1):
        text, message = _decode(raw, offset)
        offset += len(raw) + 1
        if message:
            problems.append(Problem(path=path, line=number, message=message))
            continue
        reading = normalise(text)
        if reading and not heading(text):
            utterances.append(
                Utterance(
                    text=text,
                    expert=expert,
                    language=language,
                    path=path,
                    line=number,
                    reading=reading,
                )
            )
    if not utterances and not problems:
        problems.append(Problem(path=path, line=0, message="empty; write one utterance a line"))
    return utterances, problems


def heading(text: str) -> bool:
    """Tell whether a line is for readers, and teaches nothing."""
    return text == "#" or text.startswith("# ")


def _decode(raw: bytes, offset: int) -> tuple[str, str]:
    """Give the text of a line, or say what is wrong with it."""
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        return "", (
            f"byte {offset + error.start} of the file (0x{byte:02x}) is not UTF-8;"
            " save the file as UTF-8"
        )
    if len(text) > LONGEST_LINE_CHARS:
        return "", (
            f"{len(text):,} characters; an utterance has at most {LONGEST_LINE_CHARS:,}:"
            " split it or cut it"
        )
    return text, ""
