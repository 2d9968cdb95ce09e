"""Read a JSON body strictly: one meaning, no key twice, errors that name the field."""

import json
import re
from typing import Any, NoReturn, TypeVar

import msgspec

from tame_router.errors import InvalidRequestError, UnsupportedError

T = TypeVar("T")

_PATH = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Read a body as a type.

    Raises:
        UnsupportedError: When it has a field that is not known.
        InvalidRequestError: When it is not valid JSON, or a value is not of its field's type.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        _refuse(str(error))
    except RecursionError:
        raise InvalidRequestError("the body is nested too deep; send a flatter one") from None
    except ValueError as error:  # msgspec's errors of form, and bytes that are not UTF-8
        raise InvalidRequestError(
            "the body is not valid JSON in UTF-8 without lone surrogates"
            f" ({_printable(str(error))}); send a JSON object"
        ) from None


def require_single_keys(body: bytes) -> None:
    """Make sure that no object of a body has a key twice: readers differ on which one counts.

    Raises:
        InvalidRequestError: When one has.
    """
    try:
        _SINGLE_KEYS.decode(body.decode("utf-8", "surrogatepass"))
    except RecursionError:
        raise InvalidRequestError("the body is nested too deep; send a flatter one") from None
    except ValueError:  # what msgspec skips without a look, a schema's text, may not be UTF-8
        raise InvalidRequestError("the body is not valid JSON in UTF-8; send it so") from None


def _nothing(text: str) -> None:
    """Leave a number unread: it has been read, and a huge one takes long."""


def _single(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) == len(pairs):
        return
    keys: set[str] = set()
    for key, _ in pairs:
        if key in keys:
            name = _printable(key)
            raise InvalidRequestError(
                f"the key {name!r} stands twice in one object; send it once", field=name
            )
        keys.add(key)


_SINGLE_KEYS = json.JSONDecoder(object_pairs_hook=_single, parse_int=_nothing, parse_float=_nothing)


def _refuse(words: str) -> NoReturn:
    """Say what msgspec found, with the path as callers write it."""
    found = _PATH.search(words)
    path = found[1] if found else ""
    what = words[: found.start()] if found else words
    if unknown := _UNKNOWN.fullmatch(what):
        field = _join(path, unknown[1])
        raise UnsupportedError(
            f"{field} is not a field that this service knows; leave it out", field=field
        )
    if missing := _MISSING.fullmatch(what):
        field = _join(path, missing[1])
        raise InvalidRequestError(f"{field} is missing; send it", field=field)
    raise InvalidRequestError(f"{path or 'the body'}: {_printable(what)}", field=path)


def _join(path: str, name: str) -> str:
    return _printable(f"{path}.{name}" if path else name)


def _printable(text: str) -> str:
    """Cut a text, and take out what is no text."""
    return text[:200].encode("utf-8", "replace").decode()
