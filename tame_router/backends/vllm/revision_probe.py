"""The probe of a revision: a few tokens asked under its name, and what makes them an answer.

Pure. A server that loads an adapter can still answer rubbish: under another name, without
words, or from numbers that are none. Each of these refuses the revision.
"""

import math
from typing import Final

import msgspec

from tame_router.backends.openai.refusal import stream_refusal
from tame_router.backends.openai.sse import SseDecoder
from tame_router.backends.openai.wire import DONE, Delta, ErrorInfo, error_info
from tame_router.errors import BackendProtocolError, StreamBrokenError

TOKENS: Final = 4
"""One alone may be a part of a character."""

_SHOWN_CHARS: Final = 80
_HALF_CHARACTER: Final = "\N{REPLACEMENT CHARACTER}"


class _Token(msgspec.Struct, frozen=True):
    logprob: float | None = 0.0  # null is how JSON writes what is no number


class _Logprobs(msgspec.Struct, frozen=True):
    content: tuple[_Token, ...] | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: Delta = Delta()
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Chunk(msgspec.Struct, frozen=True):
    model: str = ""
    choices: tuple[_Choice, ...] = ()
    error: ErrorInfo | str | None = None


def encode_probe(served_name: str) -> bytes:
    """Write the request: the likeliest tokens under that name, no end allowed before them."""
    return msgspec.json.encode(
        {
            "model": served_name,
            "messages": [{"role": "user", "content": "."}],
            "max_tokens": TOKENS,
            "min_tokens": TOKENS,
            "temperature": 0,
            "logprobs": True,
            "stream": True,
        }
    )


def check_probe(served_name: str, body: bytes) -> None:
    """Make sure that a whole answer is one of that name.

    Args:
        served_name: What was asked under.
        body: The event stream, to its end.

    Raises:
        BackendProtocolError: When another model answered, or what came is no text.
        StreamBrokenError: When the answer is not whole.
        BackendError: When the server reported an error in the stream.
    """
    text, finished = "", False
    for payload in SseDecoder().feed(body):
        if payload == DONE:
            break
        chunk = _decode(payload)
        if chunk.error is not None:
            raise stream_refusal(error_info(chunk.error)).error(served_name)
        if chunk.model != served_name:
            raise BackendProtocolError(
                f"the backend answered as {chunk.model[:_SHOWN_CHARS]!r} when {served_name!r} was"
                " asked: it does not serve that revision; look at its log",
                metadata={"answered_as": chunk.model[:_SHOWN_CHARS]},
            )
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finished = finished or choice.finish_reason is not None
            _check_numbers(served_name, choice)
    if not finished:
        raise StreamBrokenError(
            f"the backend ended the probe of {served_name!r} before the answer was finished"
        )
    if not text.strip(_HALF_CHARACTER):
        raise BackendProtocolError(
            f"the backend answered the probe of {served_name!r} without words; expected {TOKENS}"
            " tokens of text: the adapter, or the server, is broken"
        )


def _decode(payload: bytes) -> _Chunk:
    try:
        return msgspec.json.decode(payload, type=_Chunk)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackendProtocolError(
            f"the backend answered a probe with an event of {len(payload)} bytes that is not a"
            " chunk of a chat completion; check that the address is that of a vLLM server"
        ) from error


def _check_numbers(served_name: str, choice: _Choice) -> None:
    tokens = () if choice.logprobs is None else choice.logprobs.content or ()
    if any(token.logprob is None or not math.isfinite(token.logprob) for token in tokens):
        raise BackendProtocolError(
            f"the backend computed numbers that are none for {served_name!r}; the adapter's"
            " weights are broken"
        )
