"""The JSON that vLLM and its like answer with: only the fields that this router uses.

Decodes; decides nothing about what an answer means. Requests are `chat_request`.

Source: https://docs.vllm.ai/en/latest/serving/openai_compatible_server/
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Final, Literal, TypeVar

import msgspec

from tame_router.chat import FinishReason
from tame_router.errors import BackendProtocolError

_T = TypeVar("_T")


class FunctionPiece(msgspec.Struct, frozen=True, gc=False):
    """A piece of a call's function; its name comes with the first one."""

    name: str | None = None
    arguments: str | None = None


class CallPiece(msgspec.Struct, frozen=True, gc=False):
    """A piece of a call; its id comes with the first one."""

    index: int = 0
    id: str | None = None
    function: FunctionPiece = FunctionPiece()


class Delta(msgspec.Struct, frozen=True, gc=False):
    """What a chunk adds to the message."""

    content: str | None = None
    tool_calls: tuple[CallPiece, ...] | None = None


class Logprobs(msgspec.Struct, frozen=True, gc=False):
    """Log-probabilities of a chunk's tokens; the list, or null, is passed on as it is."""

    content: msgspec.Raw = msgspec.Raw(b"null")


class Choice(msgspec.Struct, frozen=True, gc=False):
    """A piece of one of the answers; a server that writes only one may leave the index out."""

    index: int = 0
    delta: Delta = Delta()
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


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


class PlainDelta(msgspec.Struct, frozen=True, gc=False):
    """Words, and nothing else."""

    content: str | None = None
    tool_calls: tuple[()] | None = None


class PlainChoice(msgspec.Struct, frozen=True, gc=False):
    """A piece of the first answer that does not end it."""

    index: Literal[0] = 0
    delta: PlainDelta = PlainDelta()
    finish_reason: None = None
    logprobs: None = None


class PlainChunk(msgspec.Struct, frozen=True, gc=False):
    """A `Chunk` as nearly all are: words of the only answer, and the tokens so far."""

    choices: tuple[PlainChoice]
    usage: TokenCounts
    error: None = None


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
    "tool_calls": FinishReason.TOOL_CALLS,
    # vLLM cut the answer short because it repeated itself.
    "repetition": FinishReason.LENGTH,
}

_FIRST, _LAST = itemgetter(0), itemgetter(-1)
_OBJECT: Final = ({ord("{")}, {ord("}")})

_chunk_decoder = msgspec.json.Decoder(Chunk)
_plain_decoder = msgspec.json.Decoder(PlainChunk)
_error_decoder = msgspec.json.Decoder(ErrorBody)


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


def decode_plain(payloads: Sequence[bytes]) -> list[PlainChunk] | None:
    """Read the payloads of events that are all plain, in one go; None: not all of them are.

    Each of those is what `decode_chunk` would give.
    """
    lines = b"\n".join(payloads)
    try:
        chunks = _plain_decoder.decode_lines(lines)
        ends = {*map(_FIRST, payloads)}, {*map(_LAST, payloads)}
    except (msgspec.DecodeError, UnicodeDecodeError, IndexError):  # the last: one is empty
        return None
    # A line may hold several values, and a value go on over lines, but not over `}`, a line end and
    # `{`: with as many values as payloads, and no line end in any of these, each is one value.
    if len(chunks) != len(payloads) or ends != _OBJECT or b"\n" in b"".join(payloads):
        return None
    return chunks


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
