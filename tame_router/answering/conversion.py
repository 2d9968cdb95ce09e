"""Streams one text through: Simplified becomes Traditional, however the text was cut.

Code between backticks and addresses pass untouched. Only a character that may have to
change waits, and whatever comes behind it; all other text goes on at once.
"""

import re
from typing import Final

from tame_router.answering.han_run import KEPT_CHARS, HanRun

_ADDRESS_END: Final = re.compile(r"[\s<>\"'`|\\^{}，。、；：！？「」『』（）《》【】…“”‘’]")
_RUN: Final = re.compile("`+|~+")
_MARKS: Final = re.compile(r"`+|\n")
_FENCE_LINE: Final = re.compile(r"[ \t]*([`~]*)[ \t]*")
_FENCE_MARKS: Final = 3


class Conversion:
    """One text under way.

    Args:
        runs: Decides about Chinese characters.

    Attributes:
        seen: Characters that came in.
        changed: Simplified characters that were found in them.
    """

    __slots__ = (
        "_at",
        "_floor",
        "_line",
        "_mark",
        "_out",
        "_runs",
        "_sent",
        "_text",
        "_where",
        "changed",
        "seen",
    )

    def __init__(self, runs: HanRun) -> None:
        self._runs = runs
        self._text = ""  # what may still matter of what came in
        self._at = 0  # before it everything is decided
        self._sent = 0  # before it everything has gone out
        self._floor = 0  # where the phrase that was decided last ends
        self._where = self._prose
        self._mark = ""  # the backticks or tildes that opened the code
        self._line = True  # in fenced code: at the beginning of a line
        self._out: list[str] = []
        self.seen = 0
        self.changed = 0

    def feed(self, text: str) -> str:
        """Take the next characters, and give those that can go out."""
        self.seen += len(text)
        self._text += text
        return self._advance(more=True)

    def end(self) -> str:
        """Give what was held back: nothing follows. More may be fed all the same."""
        return self._advance(more=False)

    def _advance(self, *, more: bool) -> str:
        while self._at < len(self._text) and self._where(more=more):
            pass
        text, sent = self._text, self._sent
        # A character in question waits; marks that wait to be told apart do not change.
        waits = self._at < len(text) and self._where == self._prose and text[self._at] not in "`~"
        until = max(sent, self._at if waits else len(text))
        out = text[sent:until]
        if self._out:
            self._out.append(out)
            out = "".join(self._out)
            self._out = []
        cut = min(self._at, until) - KEPT_CHARS
        self._sent = until
        if cut > 0:
            self._text = text[cut:]
            self._at -= cut
            self._sent -= cut
            self._floor = max(0, self._floor - cut)
        return out

    def _prose(self, *, more: bool) -> bool:
        text = self._text
        found = self._runs.phrases.interesting.search(text, self._at)
        if found is None:
            self._at = len(text)
            return False
        at = self._at = found.start()
        character = text[at]
        if character == "/":
            self._at = at + 1
            if text.endswith(":/", 0, at):
                self._where = self._address
            return True
        if character in "`~":
            return self._open_code(character, more=more)
        if self._runs.passes(text, at):
            self._at = at + 1
            return True
        verdict = self._runs.decide(text, at, self._floor, more=more)
        if verdict is None:
            return False
        if verdict.changed:
            self._out += (text[self._sent : at], verdict.text)
            self._sent = verdict.end
            self.changed += verdict.changed
        self._at = self._floor = verdict.end
        return True

    def _open_code(self, character: str, *, more: bool) -> bool:
        text, at = self._text, self._at
        run = _RUN.match(text, at)
        end = run.end() if run else at + 1
        if more and end == len(text):
            return False
        line = text[max(0, at - KEPT_CHARS) : at].rpartition("\n")[2]
        self._at = end
        if end - at >= _FENCE_MARKS and not line.strip(" \t"):
            self._mark, self._line, self._where = text[at:end], False, self._fenced
        elif character == "`":
            self._mark, self._where = text[at:end], self._inline
        return True

    def _inline(self, *, more: bool) -> bool:
        """Pass code between backticks: to as many of them again, or the end of the line."""
        found = _MARKS.search(self._text, self._at)
        if found is None:
            self._at = len(self._text)
            return False
        if more and found.end() == len(self._text) and found[0] != "\n":
            self._at = found.start()
            return False
        self._at = found.end()
        if found[0] in {"\n", self._mark}:
            self._where = self._prose
        return True

    def _fenced(self, *, more: bool) -> bool:
        """Pass code between fences: to a line of as many marks, and nothing else."""
        text = self._text
        if not self._line:
            self._at = text.find("\n", self._at) + 1 or len(text)
            self._line = text.endswith("\n", 0, self._at)
            return self._line
        found = _FENCE_LINE.match(text, self._at)
        end = found.end() if found else self._at
        if end == len(text) and more:
            return False
        if found and found[1].startswith(self._mark) and (end == len(text) or text[end] == "\n"):
            self._where = self._prose
        self._line = False
        self._at = end
        return True

    def _address(self, *, more: bool) -> bool:
        """Pass an address: to a blank, or a mark that Chinese puts behind it."""
        found = _ADDRESS_END.search(self._text, self._at)
        self._at = found.start() if found else len(self._text)
        if found:
            self._where = self._prose
        return bool(found)
