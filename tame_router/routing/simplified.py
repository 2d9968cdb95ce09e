"""Simplified Chinese: noticed, and read as if it had been written in Taiwan.

OpenCC is imported here and nowhere else. A character counts as Simplified when OpenCC
would replace it and Big5, the old encoding of Traditional Chinese, has no place for it:
so 后, 里 and 干, which both scripts use, say nothing. Text without one is left alone.
"""

import re
from functools import cache
from typing import Any

_FIRST, _BEHIND = 0x4E00, 0xA000
"""The block of common Han characters."""


def to_traditional(text: str) -> str:
    """Write Simplified Chinese in Traditional characters and Taiwan's words; else give it back.

    Source: OpenCC's configuration `s2twp`.
    """
    if not _simplified().search(text):
        return text
    converted: str = _converter("s2twp").convert(text)
    return converted


def count_simplified(text: str) -> int:
    """Count the characters that only Simplified Chinese uses."""
    return len(_simplified().findall(text))


@cache
def _converter(configuration: str) -> Any:
    from opencc import OpenCC

    return OpenCC(configuration)


@cache
def _simplified() -> re.Pattern[str]:
    convert = _converter("s2t").convert
    common = map(chr, range(_FIRST, _BEHIND))
    only = (c for c in common if not _in_big5(c) and convert(c) != c)
    return re.compile(f"[{''.join(only)}]")


def _in_big5(character: str) -> bool:
    try:
        character.encode("big5")
    except UnicodeEncodeError:
        return False
    return True
