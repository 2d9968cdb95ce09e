"""The JSON that vLLM and its like speak: only the fields that this router uses.

Encodes requests, decodes answers; decides nothing about what an answer means.

Source: https://docs.vllm.ai/en/latest/serving/openai_compatible_server/
"""

from typing import Final, TypeVar

import msgspec

from tame_router.chat import FinishReason, Message, Sampling
from tame_router.errors import BackendProtocolError, InvalidRequestError

_T = TypeVar("_T")


class StreamOptions(msgspec.Struct, frozen=True):
    """What a stream carries besides the answer."""

    include_usage: bool = True


class ChatRequest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Body of `POST /v1/chat/completions`; what is None is not sent."""

    model: str
    messages: tuple[Message, ...]
    stream: bool
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


class TokenizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of vLLM's `POST /tokenize`."""

    model: str
    messages: tuple[Message, ...]


class Delta(msgspec.Struct, frozen=True, gc=False):
    """What a chunk adds to the message."""

    content: str | None = None


class Choice(msgspec.Struct, frozen=True, gc=False):
    """One of the answers of a chunk; this router always asks for one."""

    delta: Delta = Delta()
    finish_reason: str | None = None


class TokenCounts(msgspec.Struct, frozen=True, gc=False):
    """Tokens of the whole answer; the completion's count may be absent or null."""

    prompt_tokens: int = 0
    completion_tokens: int | None = 0


class ErrorInfo(msgspec.Struct, frozen=True, gc=False):
    """Why a request, or a stream, failed; `code` is an HTTP status, or a word."""

    message: str = ""
    type: str | None = None
    param: str | None = None
    code: int | str | None = None


class ErrorBody(msgspec.Struct, frozen=True, gc=False):
    """Body of a refusal; a plain word in `error` is how vLLM refuses a key."""

    error: ErrorInfo | str | None = None


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """Payload of one event of a streamed answer."""

    choices: tuple[Choice, ...] = ()
    usage: TokenCounts | None = None
    error: ErrorInfo | str | None = None


class ModelCard(msgspec.Struct, frozen=True):
    """A base model, or an adapter: then `parent` names its base model."""

    id: str
    parent: str | None = None
    max_model_len: int | None = None


class ModelList(msgspec.Struct, frozen=True):
    """Answer of `GET /v1/models`, base models first."""

    data: tuple[ModelCard, ...]


class TokenizeAnswer(msgspec.Struct, frozen=True):
    """Answer of `POST /tokenize`: length of the prompt and of the context, in tokens."""

    count: int
    max_model_len: int


DONE: Final = b"[DONE]"
"""Payload that ends a stream."""

_FINISH_REASONS: Final = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    # vLLM cut the answer short because it repeated itself.
    "repetition": FinishReason.LENGTH,
}

_USAGE_WANTED: Final = StreamOptions()
_encoder = msgspec.json.Encoder()
_chunk_decoder = msgspec.json.Decoder(Chunk)
_error_decoder = msgspec.json.Decoder(ErrorBody)


def encode_chat(model: str, messages: tuple[Message, ...], sampling: Sampling) -> bytes:
    """Write the body that asks for a streamed answer with its usage.

    Args:
        model: Name the server knows the adapter revision, or the base model, by.
        messages: The whole prompt.
        sampling: What is None is left to the server.

    Raises:
        InvalidRequestError: When a text cannot be written as UTF-8.
    """
    return _encode(
        ChatRequest(
            model=model,
            messages=messages,
            stream=True,
            stream_options=_USAGE_WANTED,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            seed=sampling.seed,
            stop=sampling.stop,
        )
    )


def encode_tokenize(model: str, messages: tuple[Message, ...]) -> bytes:
    """Write the body that asks for the length of a prompt.

    Raises:
        InvalidRequestError: When a text cannot be written as UTF-8.
    """
    return _encode(TokenizeRequest(model=model, messages=messages))


def decode_chunk(payload: bytes) -> Chunk:
    """Read the payload of one event.

    Raises:
        BackendProtocolError: When it is not the JSON of a chunk.
    """
    try:
        return _chunk_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackendProtocolError(
            f"the backend sent an event of {len(payload)} bytes that is not a chunk of a chat"
            " completion; expected JSON with choices: check that the address is that of an"
            " OpenAI-compatible server"
        ) from error


def decode_error(body: bytes) -> ErrorInfo:
    """Read the body of a refusal; one that says nothing legible gives an empty message."""
    try:
        error = _error_decoder.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ErrorInfo()
    return error_info(error)


def error_info(error: ErrorInfo | str | None) -> ErrorInfo:
    """Give an error the one shape it is read in."""
    return error if isinstance(error, ErrorInfo) else ErrorInfo(message=error or "")


def decode_answer(kind: type[_T], body: bytes, what: str) -> _T:
    """Read the answer of a plain request.

    Args:
        kind: The Struct expected.
        body: The whole body.
        what: What was asked for, for the message: `/v1/models`.

    Raises:
        BackendProtocolError: When the body is something else.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackendProtocolError(
            f"the backend answered {what} with {len(body)} bytes that are not what vLLM sends:"
            " check that the address is that of a vLLM server"
        ) from error


def finish_reason_of(word: str) -> FinishReason | None:
    """Translate why an answer ended; None for a word whose meaning is not known here."""
    return _FINISH_REASONS.get(word)


def _encode(body: ChatRequest | TokenizeRequest) -> bytes:
    try:
        return _encoder.encode(body)
    except UnicodeEncodeError as error:
        raise InvalidRequestError(
            "a message holds half of a surrogate pair, which is no character;"
            " expected text that can be written as UTF-8",
            field="messages",
        ) from error
