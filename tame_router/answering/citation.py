"""Numbers of drafts in what is written from them: those that no draft has are left out. Pure."""

import re
from typing import Final

_NUMBERS: Final = r"\d{1,3}(?:\s?[,，、]\s?\d{1,3}){0,31}"
_CITED: Final = re.compile(rf"\[({_NUMBERS})\]", re.ASCII)
_BEGUN: Final = re.compile(rf"\[(?:{_NUMBERS}(?:\s?[,，、])?\s?)?\Z", re.ASCII)
"""What may still become `[1]` or `[1, 2]`."""


class Citations:
    """Passes a text on as it comes; only what may be a number in brackets is held back.

    Between back-quotes nothing is changed: `x[7]` is code there.

    Args:
        drafts: How many drafts there are, numbered from 1.
    """

    def __init__(self, drafts: int) -> None:
        self._drafts = drafts
        self._held = ""
        self._in_code = False

    def feed(self, text: str) -> str:
        """Take more of the text, and give what can be said of it; may be empty."""
        text = self._held + text
        begun = _BEGUN.search(text)
        end = begun.start() if begun else len(text)
        self._held = text[end:]
        code = text[:end].split("`")
        shown = [
            part if self._code(n) else _CITED.sub(self._kept, part) for n, part in enumerate(code)
        ]
        self._in_code = self._code(len(code) - 1)
        return "`".join(shown)

    def end(self) -> str:
        """Give what is held back, when no more comes."""
        held, self._held = self._held, ""
        return held

    def _code(self, quotes: int) -> bool:
        """Tell whether what stands behind so many back-quotes more is code."""
        return self._in_code != bool(quotes % 2)

    def _kept(self, cited: re.Match[str]) -> str:
        """Give a citation without the numbers that no draft has."""
        numbers = re.findall(r"\d+", cited[1])
        known = [number for number in numbers if 1 <= int(number) <= self._drafts]
        if len(known) == len(numbers):
            return cited[0]
        between = re.search(r"\D+", cited[1])
        return f"[{(between[0] if between else '').join(known)}]" if known else ""
