"""The lines of a teaching file, numbered; headings and blank lines are left out."""

import codecs
from dataclasses import dataclass
from pathlib import Path

from tame_router.catalog.problem import Problem
from tame_router.routing.text import normalise

LONGEST_LINE_CHARS = 2_000
"""Longest line; a longer one is a document pasted by mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line that says something.

    Attributes:
        number: Its place in the file, from 1.
        text: As written, without white space around it.
    """

    number: int
    text: str


def read_lines(path: Path) -> tuple[list[Line], list[Problem]]:
    """Read a file's lines, and list what cannot be read of them."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return [], [Problem(path=path, line=0, message=f"cannot be read: {error.strerror}")]
    return parse_lines(data, path)


def parse_lines(data: bytes, path: Path) -> tuple[list[Line], list[Problem]]:
    """Read the lines of a file's bytes, and list what cannot be read of them.

    Args:
        data: The bytes.
        path: The file that the faults name; it is not looked at.
    """
    lines: list[Line] = []
    problems: list[Problem] = []
    body = data.removeprefix(codecs.BOM_UTF8)
    offset = len(data) - len(body)
    for number, raw in enumerate(body.split(b"\n"), start=1):
        text, message = _decode(raw, offset)
        offset += len(raw) + 1
        if message:
            problems.append(Problem(path=path, line=number, message=message))
        elif normalise(text) and not heading(text):
            lines.append(Line(number=number, text=text))
    return lines, problems


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
