"""Bytes of a streamed answer become pieces, however they are cut."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.backends.backend import Piece
from tame_router.backends.openai.chat_decoder import ChatDecoder
from tame_router.chat import FinishReason, Usage
from tame_router.errors import (
    BackendFailedError,
    BackendProtocolError,
    BackendUnavailableError,
    InvalidRequestError,
    StreamBrokenError,
    TameError,
)
from tests.fakes import vllm_wire as wire
from tests.fakes.generations import generation, text_of

TOKENS = ("依", "《勞動基準法》", " §24", '"', "\\", "🩺\n")
EVENTS = wire.answer_events("m", TOKENS, prompt_tokens=9)
STREAM = b"".join(EVENTS)
USAGE = Usage(prompt_tokens=9, completion_tokens=len(TOKENS))


def decode(parts: list[bytes]) -> tuple[list[Piece], ChatDecoder]:
    """Decode parts until something fails, then the end."""
    decoder = ChatDecoder(generation())
    pieces: list[Piece] = []
    for part in parts:
        pieces += decoder.feed(part)
        if decoder.failure or decoder.done:
            return pieces, decoder
    decoder.end()
    return pieces, decoder


def finish(word: str) -> bytes:
    """Write an event that ends the answer with a word."""
    return wire.event({"choices": [{"delta": {}, "finish_reason": word}]})


def failure(*parts: bytes) -> TameError:
    """Give what a stream fails with."""
    error = decode(list(parts))[1].failure
    assert error is not None
    return error


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_any_split_gives_the_same_answer(places: list[int]) -> None:
    """Text, finish and usage must not depend on where the bytes were cut."""
    edges = [0, *sorted(places), len(STREAM)]
    pieces, decoder = decode([STREAM[a:b] for a, b in pairwise(edges)])
    assert text_of(pieces) == "".join(TOKENS)
    assert [piece.finish_reason for piece in pieces if piece.finish_reason] == [FinishReason.STOP]
    assert [piece.usage for piece in pieces if piece.usage] == [USAGE]
    assert decoder.done
    assert decoder.failure is None


def test_one_read_is_one_piece() -> None:
    """Everything that one read brought must be one piece."""
    pieces, _ = decode([STREAM])
    assert pieces == [
        Piece(text="".join(TOKENS), finish_reason=FinishReason.STOP, usage=USAGE),
    ]


def test_role_and_comments_bring_no_piece() -> None:
    """What holds nothing of the answer must not be a piece."""
    assert not ChatDecoder(generation()).feed(EVENTS[0] + b": keep-alive\n\n")


def test_text_before_an_error_is_given_first() -> None:
    """Words that arrived with an error must be handed out before it."""
    error = wire.event(wire.error_document(503, "retry", "ServiceUnavailableError"))
    pieces, decoder = decode([EVENTS[0] + EVENTS[1] + error + wire.DONE])
    assert text_of(pieces) == TOKENS[0]
    assert type(decoder.failure) is BackendUnavailableError


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (wire.error_document(500, "boom", "InternalServerError"), BackendFailedError),
        (wire.error_document(400, "bad"), InvalidRequestError),
        ({"error": "plain words"}, BackendFailedError),
        ({"error": {"message": "x", "code": "rate_limit"}}, BackendFailedError),
    ],
)
def test_error_object_fails_by_its_code(document: dict[str, Any], kind: type[TameError]) -> None:
    """An error inside the stream must fail like a status."""
    assert type(failure(wire.event(document))) is kind


def test_stream_that_ends_early_is_broken() -> None:
    """An end before any finish_reason must be a broken stream that can be tried again."""
    error = failure(*EVENTS[:3])
    assert type(error) is StreamBrokenError
    assert error.retry_after_s == 1.0


def test_finished_answer_needs_no_closing_mark() -> None:
    """An answer whose finish arrived must be whole, also without [DONE]."""
    pieces, decoder = decode(list(EVENTS[:-2]))
    assert text_of(pieces) == "".join(TOKENS)
    assert decoder.done
    assert decoder.failure is None


def test_closing_mark_without_finish_is_off_protocol() -> None:
    """[DONE] before any finish_reason must be an error: nobody knows whether all words came."""
    assert type(failure(EVENTS[1], wire.DONE)) is BackendProtocolError


def test_aborted_answer_is_broken() -> None:
    """An answer that the server gave up must be worth another try."""
    assert type(failure(finish("abort"))) is StreamBrokenError


def test_unknown_finish_is_named() -> None:
    """A finish that is not understood must not pass as a whole answer."""
    error = failure(finish("tool_calls"))
    assert type(error) is BackendProtocolError
    assert "'tool_calls'" in error.message


def test_malformed_json_is_off_protocol() -> None:
    """An event that is no JSON must fail, after the words before it."""
    pieces, decoder = decode([EVENTS[1] + b'data: {"choices": [\n\n'])
    assert text_of(pieces) == TOKENS[0]
    assert type(decoder.failure) is BackendProtocolError


def test_what_follows_the_end_is_ignored() -> None:
    """Bytes after [DONE] must not change the answer."""
    pieces, decoder = decode([STREAM + b"data: garbage\n\n"])
    assert text_of(pieces) == "".join(TOKENS)
    assert decoder.failure is None


def test_usage_without_completion_tokens_counts_none() -> None:
    """A null count must be read as zero."""
    pieces, _ = decode([wire.event({"choices": [], "usage": {"completion_tokens": None}})])
    assert pieces[0].usage == Usage()
