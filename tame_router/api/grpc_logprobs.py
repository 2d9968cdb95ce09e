"""Turn OpenAI's log-probabilities, which experts' answers carry as JSON, into messages."""

from collections.abc import Iterable

import msgspec

from tame_router.errors import BackendProtocolError
from tame_router.v1 import chat_pb2


class _Token(msgspec.Struct, frozen=True, gc=False):
    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top_logprobs: tuple["_Token", ...] = ()


_decoder = msgspec.json.Decoder(tuple[_Token, ...])


def write_logprobs(text: bytes) -> list[chat_pb2.TokenLogprob]:
    """Write how probable tokens were.

    Args:
        text: JSON text of OpenAI's `logprobs.content` list; empty: none.

    Raises:
        BackendProtocolError: When it is something else.
    """
    if not text:
        return []
    try:
        return _write(_decoder.decode(text))
    except (ValueError, UnicodeDecodeError) as error:
        raise BackendProtocolError(
            f"the backend sent log-probabilities of {len(text)} bytes that are no list of tokens"
            " in OpenAI's form: check its version, or ask without top_logprobs"
        ) from error


def _write(tokens: Iterable[_Token]) -> list[chat_pb2.TokenLogprob]:
    return [
        chat_pb2.TokenLogprob(
            token=token.token,
            logprob=token.logprob,
            raw=bytes(token.bytes or ()),
            top_logprobs=_write(token.top_logprobs),
        )
        for token in tokens
    ]
