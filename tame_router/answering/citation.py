"""Numbers of drafts in what is written from them: those that no draft has are left out. Pure."""

import re
from typing import Final

TO: Final = "\u2013\u2014~\uff5e至到-"
"""What stands between the ends of a range, `[1-3]` or 「[1至3]」; the hyphen last, for a class."""

_ITEM: Final = rf"\d{{1,3}}(?:\s?[{TO}]\s?\d{{1,3}})?"
_NUMBERS: Final = rf"{_ITEM}(?:\s?[,，、]\s?{_ITEM}){{0,31}}"
_CITED: Final = re.compile(rf"\[({_NUMBERS})\]", re.ASCII)
_BEGUN: Final = re.compile(rf"\[(?:{_NUMBERS}(?:\s?[,，、{TO}])?\s?)?\Z", re.ASCII)
"""What may still become `[1]`, `[1, 2]` or `[1-3]`."""

_BETWEEN: Final = re.compile(r"\s?[,，、]\s?", re.ASCII)
_RANGE: Final = re.compile(rf"(\d+)(\s?[{TO}]\s?)(\d+)", re.ASCII)


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
        items = _BETWEEN.split(cited[1])
        known = [shown for item in items if (shown := self._known(item))]
        if known == items:
            return cited[0]
        between = _BETWEEN.search(cited[1])
        return f"[{(between[0] if between else '').join(known)}]" if known else ""

    def _known(self, item: str) -> str:
        """Give a number, or a range, as far as drafts have it; empty: none has."""
        found = _RANGE.fullmatch(item)
        if found is None:
            return item if 1 <= int(item) <= self._drafts else ""
        ends = sorted((int(found[1]), int(found[3])))
        first, last = max(ends[0], 1), min(ends[1], self._drafts)
        if [first, last] == ends:
            return item
        if first >= last:
            return str(first) if first == last else ""
        return f"{first}{found[2]}{last}"
