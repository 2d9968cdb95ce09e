"""Requests and answers have the JSON that vLLM reads and writes."""

import pytest

from tame_router.backends.openai.wire import (
    ErrorInfo,
    ModelList,
    TokenizeAnswer,
    decode_answer,
    decode_chunk,
    decode_error,
    finish_reason_of,
)
from tame_router.chat import FinishReason
from tame_router.errors import BackendProtocolError


def test_chunks_of_vllm_are_read() -> None:
    """Content, finish and usage must be read from vLLM's chunks, other fields skipped."""
    chunk = decode_chunk(
        '{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
        '"delta":{"content":"依","tool_calls":[]},"logprobs":null,"finish_reason":"stop",'
        '"stop_reason":null,"token_ids":null}],"usage":{"prompt_tokens":3,"total_tokens":5,'
        '"completion_tokens":2,"prompt_tokens_details":null}}'.encode()
    )
    assert chunk.choices[0].delta.content == "依"
    assert chunk.choices[0].finish_reason == "stop"
    assert chunk.usage is not None
    assert (chunk.usage.prompt_tokens, chunk.usage.completion_tokens) == (3, 2)
    assert chunk.error is None


@pytest.mark.parametrize(
    "payload", [b"{", b"[]", b'{"choices":1}', b"\xff", b'{"choices":[{"delta":{"content":1}}]}']
)
def test_what_is_no_chunk_is_off_protocol(payload: bytes) -> None:
    """Malformed JSON and JSON of another shape must be the backend's fault, unquoted."""
    with pytest.raises(BackendProtocolError, match=f"event of {len(payload)} bytes"):
        decode_chunk(payload)


@pytest.mark.parametrize(
    ("body", "info"),
    [
        (b'{"error":"Unauthorized"}', ErrorInfo(message="Unauthorized")),
        (b'{"error":{"message":"m","param":"p","code":400}}', ErrorInfo("m", None, "p", 400)),
        (b'{"error":null}', ErrorInfo()),
        (b'{"detail":"Not Found"}', ErrorInfo()),
        (b"<html>", ErrorInfo()),
        (b"\xff", ErrorInfo()),
        (b"", ErrorInfo()),
    ],
)
def test_errors_are_read_as_far_as_legible(body: bytes, info: ErrorInfo) -> None:
    """Every body of a refusal must give an error, an empty one where nothing can be read."""
    assert decode_error(body) == info


def test_plain_answers_are_read() -> None:
    """Model list and token count must be read."""
    cards = decode_answer(
        ModelList, b'{"data":[{"id":"b","max_model_len":9},{"id":"a","parent":"b"}]}', "/v1/models"
    )
    assert [(card.id, card.parent, card.max_model_len) for card in cards.data] == [
        ("b", None, 9),
        ("a", "b", None),
    ]
    counted = decode_answer(TokenizeAnswer, b'{"count":3,"max_model_len":9,"tokens":[1]}', "")
    assert (counted.count, counted.max_model_len) == (3, 9)


def test_other_plain_answers_are_off_protocol() -> None:
    """A page where JSON was expected must be named by what was asked for."""
    with pytest.raises(BackendProtocolError, match="/v1/models with 6 bytes"):
        decode_answer(ModelList, b"<html>", "/v1/models")


def test_finish_reasons_are_translated() -> None:
    """Known words must have their meaning, unknown ones none."""
    assert finish_reason_of("stop") is FinishReason.STOP
    assert finish_reason_of("length") is FinishReason.LENGTH
    assert finish_reason_of("content_filter") is FinishReason.CONTENT_FILTER
    assert finish_reason_of("repetition") is FinishReason.LENGTH
    assert finish_reason_of("tool_calls") is FinishReason.TOOL_CALLS
    assert finish_reason_of("function_call") is None
