"""JSON that a base model writes, made valid: control characters inside strings are escaped.

vLLM holds answers to a schema with a grammar that lets raw line ends into strings (seen with
0.32 and xgrammar), which RFC 8259 does not. Everything else passes as it came.
"""

from typing import Final

_ESCAPES: Final = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_FIRST_PRINTABLE: Final = " "


class JsonStrings:
    """One JSON text that comes in pieces."""

    __slots__ = ("_escaped", "_inside")

    def __init__(self) -> None:
        self._inside = False
        self._escaped = False

    def feed(self, text: str) -> str:
        """Take the next piece, and give it with its control characters escaped."""
        return "".join([self._pass(mark) for mark in text])

    def _pass(self, mark: str) -> str:
        if not self._inside:
            self._inside = mark == '"'
            return mark
        if self._escaped:
            # A backslash before a raw line end: what it was to escape is that line end.
            self._escaped = False
            return mark if mark >= _FIRST_PRINTABLE else _escape(mark)[1:]
        if mark < _FIRST_PRINTABLE:
            return _escape(mark)
        self._escaped = mark == "\\"
        self._inside = mark != '"'
        return mark


def _escape(mark: str) -> str:
    return _ESCAPES.get(mark) or f"\\u{ord(mark):04x}"
