"""Experts that speak at the same time, for a person: a sentence at a time, with its speaker."""

import re
from typing import Final

_CLOSING: Final = "」』）”》〉】)"
_END: Final = re.compile(
    rf"\n|[。！？]+[{_CLOSING}]*(?=[^。！？{_CLOSING}、，；：])"
    r"|(?<!\d)[.!?](?:[ \t]+(?=[^ \t])|(?=\n))"
)
"""Where a sentence ends, once what follows is known: a closing bracket belongs to it, and behind a
quotation it may go on with a comma. A full stop behind a number ends none: it begins a list's item.
"""


class Voices:
    """Puts the pieces of each speaker together, and gives whole lines."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}
        self._held: dict[str, str] = {}

    def begin(self, speaker: str, label: str) -> None:
        """Let somebody speak.

        Args:
            speaker: Name.
            label: What stands in front of each of its lines.
        """
        self._labels[speaker] = label
        self._held[speaker] = ""

    def add(self, speaker: str, text: str) -> list[str]:
        """Take a piece, and give the lines that it ends; often none."""
        held = self._held.get(speaker, "") + text
        begun = 0
        lines: list[str] = []
        for end in _END.finditer(held):
            lines += self._line(speaker, held[begun : end.end()])
            begun = end.end()
        self._held[speaker] = held[begun:]
        return lines

    def end(self, speaker: str) -> list[str]:
        """Give what is held of a speaker that says no more."""
        return self._line(speaker, self._held.pop(speaker, ""))

    def end_all(self) -> list[str]:
        """Give what is held of all."""
        return [line for speaker in list(self._held) for line in self.end(speaker)]

    def _line(self, speaker: str, text: str) -> list[str]:
        return [f"{self._labels.get(speaker, '')}{text.rstrip()}"] if text.strip() else []
