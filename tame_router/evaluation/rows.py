"""JSON lines: objects with a text, each with its place in its file."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from tame_router.errors import InvalidRequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a file.

    Attributes:
        place: `file:line`, for whoever has to mend it.
        values: The object; its `text` is a string that is not blank.
    """

    place: str
    values: dict[str, Any]


def open_rows(path: Path) -> BinaryIO:
    """Open a file of JSON lines; the caller closes it.

    Args:
        path: The file; `-`: standard input.

    Raises:
        InvalidRequestError: When it cannot be opened.
    """
    try:
        return sys.stdin.buffer if str(path) == "-" else path.open("rb")
    except OSError as error:
        raise InvalidRequestError(f"{path}: cannot be read: {error.strerror}") from error


def read_rows(path: Path, file: BinaryIO) -> Iterator[Row]:
    """Read a file's rows one by one, and close it; blank lines are passed over.

    Args:
        path: Its name, for messages.
        file: The open file, UTF-8 with or without a byte-order mark.

    Raises:
        InvalidRequestError: At the first line that is not an object with a text.
    """
    with file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _read_row(f"{path}:{number}", line)


def check_row(place: str, values: dict[str, Any]) -> Row:
    """Check that an object's `text`, a string, can be decided.

    Raises:
        InvalidRequestError: When it is blank, or the object holds what is no character.
    """
    if not values["text"].strip():
        raise InvalidRequestError(f"{place}: text is empty; give it a question")
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(
            f"{place}: holds bytes or escapes that are no characters; expected UTF-8"
        ) from None
    return Row(place=place, values=values)


def _read_row(place: str, line: bytes) -> Row:
    try:
        values = json.loads(line.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise InvalidRequestError(
            f"{place}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"{place}: not JSON: {error}") from error
    if not isinstance(values, dict) or not isinstance(values.get("text"), str):
        raise InvalidRequestError(f'{place}: expected an object with a string "text"')
    return check_row(place, values)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
