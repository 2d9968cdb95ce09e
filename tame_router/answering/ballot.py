"""What an expert votes for, and how sure it is. Pure.

A choice is a letter or a number that stands at the beginning of a short answer, as in
multiple-choice questions, or the whole answer, without white space, case and end marks. How
sure the expert is of it comes from its tokens' log-probabilities.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence

import msgspec

_OPTION = re.compile(r"\W*(?:答案|選項|answer|option)?\W*([A-Za-z]|\d{1,2})(?![A-Za-z0-9])", re.I)
_LETTER = re.compile(r"\W*([A-Za-z]|\d{1,2})\W*")
_ENDS = " \t\r\n。．.！!？?，,；;：:、\"'「」（）()"
_SHORT_CHARS = 24
"""Longest answer in which a letter at the beginning is the whole of it."""


class _Token(msgspec.Struct, frozen=True, gc=False):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: tuple["_Token", ...] = ()


_decoder = msgspec.json.Decoder(tuple[_Token, ...])


def confidence(logprobs: Sequence[bytes]) -> float:
    """Give the geometric mean of an answer's token probabilities, in [0, 1].

    Args:
        logprobs: JSON texts of OpenAI's `logprobs.content` lists; none, or unreadable ones: 0.
    """
    tokens = _read(logprobs)
    if not tokens:
        return 0.0
    return math.exp(min(0.0, math.fsum(t.logprob for t in tokens) / len(tokens)))


def votes(text: str, logprobs: Sequence[bytes]) -> Mapping[str, float]:
    """Give the choices that an answer speaks for, with their probabilities.

    Of a multiple-choice answer all letters that stood in the place of the first one are
    counted; of any other the answer alone.

    Args:
        text: The answer; JSON counts by its value.
        logprobs: As for `confidence`.

    Returns:
        The answer's own choice first; empty for an empty answer. Their sum is at most 1.
    """
    choice = _choice(text)
    if not choice:
        return {}
    tokens = _read(logprobs)
    if not _option(text):
        # Where a backend tells no probabilities, routing's alone decide.
        return {choice: confidence(logprobs) if tokens else 1.0}
    place = next((t for t in tokens if _letter(t.token) == choice), None)
    if place is None:
        return {choice: confidence(logprobs) if tokens else 1.0}
    found = {choice: math.exp(min(0.0, place.logprob))}
    for other in place.top_logprobs:
        letter = _letter(other.token)
        if letter and letter != choice:
            found[letter] = found.get(letter, 0.0) + math.exp(min(0.0, other.logprob))
    total = math.fsum(found.values())
    return {name: p / max(1.0, total) for name, p in found.items()}


def _choice(text: str) -> str:
    stripped = text.strip()
    if stripped[:1] in {"{", "["}:
        try:
            return json.dumps(json.loads(stripped), sort_keys=True, ensure_ascii=False)
        except ValueError:
            return stripped
    return _option(text) or " ".join(stripped.strip(_ENDS).casefold().split())


def _option(text: str) -> str:
    if len(text.strip()) > _SHORT_CHARS:
        return ""
    match = _OPTION.match(text)
    return match[1].upper() if match else ""


def _letter(token: str) -> str:
    match = _LETTER.fullmatch(token)
    return match[1].upper() if match else ""


def _read(logprobs: Sequence[bytes]) -> list[_Token]:
    try:
        return [token for part in logprobs for token in _decoder.decode(part)]
    except (ValueError, UnicodeDecodeError):
        return []
