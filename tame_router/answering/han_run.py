"""Decides what a character that may be Simplified becomes, from the text around it.

A character is converted by the longest phrase that it stands in, and only where the text
proves Simplified: the phrase holds a character that Taiwan never writes, or the nearest
telling character before it, or else behind it, is one. So 皇后 and 里長 stay, and the 里 of
这里面 does not. What may still go on is not decided.

Everything here depends on the text alone and never on how it was cut.
"""

import re
from typing import Final

import msgspec

from tame_router.answering.callers_text import GIVEN_CHARS, SAID_CHARS, CallersText, Stretches
from tame_router.answering.phrases import LONGEST_CHARS, OPEN, Phrases, in_japanese

BEFORE_CHARS: Final = 16
"""Characters before a phrase that may prove something."""

BEHIND_CHARS: Final = LONGEST_CHARS
"""Characters behind a phrase that are waited for where those before it prove nothing."""

KEPT_CHARS: Final = 2 * (BEFORE_CHARS + LONGEST_CHARS)
"""Characters before the one in question that must be at hand."""

_ENDS: Final = frozenset('。！？!?\n「」『』“”‘’"《》〈〉`')
"""What one side of says nothing about the other."""

_HAN: Final = re.compile("[\u3400-\u9fff]+")

_OPENING, _CLOSING = frozenset('「『“‘"《〈'), frozenset('」』”’"》〉')


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What becomes of a stretch.

    Attributes:
        end: Where the stretch ends in the text; it begins at the character in question.
        text: What stands there then.
        changed: Characters that are Simplified.
    """

    end: int
    text: str
    changed: int = 0


class HanRun(msgspec.Struct, frozen=True):
    """Decides, for the answers to one question.

    Args:
        phrases: The table.
        callers: What may be quoted.
    """

    phrases: Phrases
    callers: CallersText

    def passes(self, text: str, at: int) -> bool:
        """Tell whether a character only begins words of Simplified text, and this is none."""
        seconds = self.phrases.heads.get(text[at])
        if seconds is None:
            return False
        follows = text[at + 1 : at + 2]
        return (follows != "" and follows not in seconds) or self._before(text, at) is False

    def decide(self, text: str, at: int, floor: int, *, more: bool) -> Verdict | None:
        """Decide about the character at a place.

        Args:
            text: The text so far, with `KEPT_CHARS` before the place or its beginning.
            at: The place of a character that `Phrases.interesting` finds.
            floor: Where the stretch that was decided last ends.
            more: Whether the text goes on.

        Returns:
            What becomes of the phrase, from the place on; None: that depends on what follows.
        """
        begin = at
        while begin > max(floor, at - LONGEST_CHARS) and is_han(text[begin - 1]):
            begin -= 1
        found = _HAN.match(text, begin, at + LONGEST_CHARS)
        last = found.end() if found else at
        plain = text[begin:last].translate(self.phrases.plain)
        first = begin
        while True:
            ahead = plain[begin - first : begin - first + LONGEST_CHARS]
            goes_on = more and last == len(text) and len(ahead) < LONGEST_CHARS
            length = self.phrases.longest(ahead, more=goes_on)
            if length == OPEN:
                return None
            if begin + length > at:
                return self._judge(text, at, begin, begin + length, more=more)
            begin += length

    def _judge(self, text: str, at: int, begin: int, end: int, *, more: bool) -> Verdict | None:
        phrases = self.phrases
        own = text[begin:end]
        spelt = phrases.spell(own.translate(phrases.plain))
        # What is Traditional already stays, whatever the phrase says.
        pairs = list(zip(own, spelt, strict=True))[at - begin :]
        wanted = "".join([a if a in phrases.traditional else b for a, b in pairs])
        there = text[at:end]
        kept = Verdict(end, there)
        word = phrases.words.get(own, "") if at == begin else ""
        if wanted == there and not word:
            return kept
        for doubt in (self._traditional, self._japanese, self._quoted):
            left_alone = doubt(text, begin, end, more)
            if left_alone is None:
                return None
            if left_alone:
                return kept
        changed = sum(a != b for a, b in zip(there, wanted, strict=True))
        return Verdict(end, word or wanted, changed or len(there))

    def _traditional(self, text: str, begin: int, end: int, more: bool) -> bool | None:
        """Tell whether nothing proves a phrase Simplified; None: that is not known yet."""
        own = text[begin:end]
        if not self.phrases.only.isdisjoint(own) or own in self.phrases.telling:
            return False
        if not self.phrases.traditional.isdisjoint(own):
            return True
        proof = self._before(text, begin)
        if proof is None:
            limit = min(len(text), end + BEHIND_CHARS)
            for place in range(end, limit):
                if text[place] in _ENDS:
                    return True
                proof = self._proof(text, place)
                if proof is not None:
                    return not proof
            return None if more and limit < end + BEHIND_CHARS else True
        return not proof

    def _before(self, text: str, begin: int) -> bool | None:
        """Tell whether the text before a place is Simplified; None: it says nothing."""
        for place in range(begin - 1, max(0, begin - BEFORE_CHARS) - 1, -1):
            proof = self._proof(text, place)
            if proof is not None or text[place] in _ENDS:
                return proof
        return None

    def _proof(self, text: str, place: int) -> bool | None:
        """Tell whether one character is Simplified or, False, Traditional; None: it is both."""
        character = text[place]
        if character in self.phrases.only:
            return True
        if character in self.phrases.traditional:
            return False
        telling = place > 0 and text[place - 1 : place + 1] in self.phrases.telling
        return True if telling else None

    def _japanese(self, text: str, begin: int, end: int, more: bool) -> bool | None:
        """Tell whether a phrase is Japanese: kana are near, and Japanese has its characters."""
        own = text[begin:end]
        if any(c in self.phrases.only and c not in self.phrases.japanese for c in own):
            return False
        before = text[max(0, begin - BEFORE_CHARS) : begin]
        if any(map(_is_kana, before.rpartition("\n")[2])):
            return True
        if not all(map(in_japanese, filter(is_han, before + own))):
            return False
        limit = min(len(text), end + BEHIND_CHARS)
        for character in text[end:limit]:
            if not is_han(character):
                return _is_kana(character)
            if not in_japanese(character):
                return False
        return None if more and limit < end + BEHIND_CHARS else False

    def _quoted(self, text: str, begin: int, end: int, more: bool) -> bool | None:
        """Tell whether a phrase stands in a longer stretch of the caller's own text."""
        waits = False
        callers = ((self.callers.said, SAID_CHARS), (self.callers.given, GIVEN_CHARS))
        for known, enough in callers:
            if text[begin:end] not in known:
                continue
            first, last = _widened(text, begin, end, known, enough)
            if last - first >= enough or _in_marks(text, first, last):
                return True
            waits |= more and last == len(text)
        return None if waits else False


def is_han(character: str) -> bool:
    """Tell whether a character is a common Chinese one."""
    return "\u3400" <= character <= "\u9fff"


def _is_kana(character: str) -> bool:
    return "\u3041" <= character <= "\u30ff" and character != "・"


def _widened(text: str, begin: int, end: int, known: Stretches, enough: int) -> tuple[int, int]:
    """Widen a stretch as long as it occurs in the caller's text, and no further than needed."""
    floor = max(0, begin - enough)
    while begin > floor and is_han(text[begin - 1]) and text[begin - 1 : end] in known:
        begin -= 1
    while end - begin < enough and end < len(text) and is_han(text[end]):
        if text[begin : end + 1] not in known:
            break
        end += 1
    return begin, end


def _in_marks(text: str, begin: int, end: int) -> bool:
    """Tell whether quotation marks stand on both sides."""
    around = begin > 0 and end < len(text)
    return around and text[begin - 1] in _OPENING and text[end] in _CLOSING
