"""Text as the router reads it: one spelling per character, and its language.

Normalising loses nothing that tells domains apart; it removes what only looks
different. It decides nothing about features.
"""

import re
import unicodedata

from tame_router.routing.simplified import count_simplified, to_traditional

CHINESE = "zh-TW"
SIMPLIFIED = "zh-CN"
ENGLISH = "en"

_INVISIBLE = re.compile(
    "["
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # control characters that are no white space
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff"  # lone halves of a pair: no character at all
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "]+"
)
"""Characters that show nothing: controls and Unicode's Default_Ignorable_Code_Point.

Source: https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt
"""

CJK = (
    "\u3005-\u3007\u3040-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
)
"""Han, Bopomofo and kana, as the inside of a regular expression's character class."""

_LETTERS = re.compile(rf"([{CJK}]+)|[^\W\d_{CJK}]+")
_ASCII_LETTER = re.compile("[A-Za-z]")

_FULL_WIDTH = tuple(zip("，？！：；（）", ",?!:;()", strict=True))
"""Punctuation of nearly every Chinese question, and what NFKC makes of each."""

_SIMPLIFIED_SHARE = 0.08
"""Share of Chinese characters that only Simplified uses, from which a text counts as such.

Of running Simplified text they are about a third; a single one may be a variant.
"""

_CHINESE_SHARE = 0.4
"""Share of Chinese from which a text counts as Chinese.

A Chinese character counts as much as a Latin word, so that a Chinese sentence full of
English part names stays Chinese and an English one that quotes a term stays English.
"""


def normalise(text: str) -> str:
    """Bring a text to the one spelling that the router reads.

    Compatibility forms are folded (NFKC: full width to half width, ligatures), case is
    folded, characters that show nothing are taken out, each run of white space becomes one
    space, and Simplified Chinese becomes Traditional. Normalising twice changes nothing.
    """
    if text.isascii():
        shown = text if text.isprintable() else _INVISIBLE.sub("", text)
        return " ".join(shown.lower().split())
    shown = _INVISIBLE.sub("", text)
    for wide, narrow in _FULL_WIDTH:  # where nothing else is to fold, NFKC only looks at it
        shown = shown.replace(wide, narrow)
    shown = unicodedata.normalize("NFKC", shown).casefold()
    # Folding case can leave characters that compose or fold further.
    return to_traditional(" ".join(unicodedata.normalize("NFKC", shown).split()))


def language(text: str) -> str:
    """Tell the language of a text: `zh-TW`, `zh-CN` for Simplified Chinese, or `en`.

    A text without any letter counts as `zh-TW`, the service's first language.
    """
    if text.isascii():
        return ENGLISH if _ASCII_LETTER.search(text) else CHINESE
    runs = _LETTERS.findall(text)  # an empty one stands for a word
    characters, words = len("".join(runs)), runs.count("")
    if words and characters < _CHINESE_SHARE * (characters + words):
        return ENGLISH
    simplified = characters and count_simplified(text) >= _SIMPLIFIED_SHARE * characters
    return SIMPLIFIED if simplified else CHINESE


def head_and_tail(text: str, limit: int) -> str:
    """Shorten a long text to its head and its tail, three parts to one.

    A question after a long document stands at its end, a question before it at its head.

    Args:
        text: Any text.
        limit: Most characters that are kept, ≥ 4.
    """
    if len(text) <= limit:
        return text
    tail = limit // 4
    return f"{text[: limit - tail - 1]} {text[-tail:]}"
