"""What it means when an OpenAI-compatible server refuses: one table from status to error.

The same table serves the status of an answer and the code of an error inside a stream.
Nothing of a body reaches a message, but for the server's reason for finding a request
wrong: bounded, and withheld where it quotes the conversation.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from tame_router.backends.backend import RETRY_AFTER_S
from tame_router.backends.openai.wire import ErrorInfo
from tame_router.chat import Format, Message, Shape
from tame_router.errors import (
    AdapterNotLoadedError,
    BackendFailedError,
    BackendOverloadedError,
    BackendProtocolError,
    BackendRefusedKeyError,
    BackendUnavailableError,
    ContextTooLongError,
    InvalidRequestError,
    TameError,
)

_PLAIN: Final = Shape()

MAX_RETRY_AFTER_S: Final = 3600.0
"""Longest wait that is passed on."""

_MAX_REASON_CHARS: Final = 300
_QUOTE_CHARS: Final = 10
_QUOTE_STEP: Final = 5
_CHINESE_QUOTE: Final = re.compile(r"(?=([\u3400-\u9fff]{4}))")
_SAMPLING_FIELDS: Final = frozenset(
    {
        "max_tokens",
        "temperature",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "seed",
        "stop",
    }
)
_CONTEXT_PARAMS: Final = frozenset({"input_tokens", "input_text", "max_tokens"})
_SCHEMA_WORDS: Final = ("json schema", "into a grammar", "grammar specification")
_SOURCE_PLACE: Final = re.compile(r"\[\d\d:\d\d:\d\d\] \S+:\d+: ")
"""Where in its source the engine found a schema wrong; tells callers nothing."""

_CONTEXT_WORDS: Final = ("context length", "max_model_len", "maximum model length")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A server's no.

    Attributes:
        status: HTTP status, or the code of an error inside a stream.
        info: What the body says; empty where it could not be read.
        retry_after_s: What `Retry-After` says, in [0, 3600]; None where it says nothing.
    """

    status: int
    info: ErrorInfo
    retry_after_s: float | None = None

    @property
    def about_context(self) -> bool:
        """Whether the request may be too long for the base model's context.

        A guess by vLLM's parameter names and wording, to be settled by counting tokens.
        """
        return self.status == 400 and (
            self.info.param in _CONTEXT_PARAMS or self._words_about_context
        )

    @property
    def _words_about_context(self) -> bool:
        text = self.info.message.lower()
        return any(words in text for words in _CONTEXT_WORDS)

    @property
    def _words_about_schema(self) -> bool:
        text = self.info.message.lower()
        return any(words in text for words in _SCHEMA_WORDS)

    def error(
        self, revision: str = "", messages: Sequence[Message] = (), shape: Shape = _PLAIN
    ) -> TameError:
        """Give the error that tells the caller what the refusal means.

        Args:
            revision: The adapter revision asked for; empty: the base model.
            messages: What was sent: none of it is repeated in the error.
            shape: What the answer was to consist of, to name the field whose schema is refused.
        """
        if self.status == 400 and self._words_about_context:
            return ContextTooLongError(
                "the backend finds that the request does not fit the base model's context:"
                f" {_reason(self.info, messages)}",
                field="messages",
                metadata=_facts(self),
            )
        if self.status == 400 and self._words_about_schema:
            said = _SOURCE_PLACE.sub("", self.info.message)
            return InvalidRequestError(
                "the backend cannot hold an answer to this schema:"
                f" {_reason(ErrorInfo(message=said), messages)}",
                field=_held_field(shape),
                metadata=_facts(self),
            )
        return _table(self.status)(self, revision, messages)


def stream_refusal(info: ErrorInfo) -> Refusal:
    """Read an error object that came inside a stream; one without a status counts as 500."""
    code = info.code
    if isinstance(code, str):
        code = int(code) if code.isascii() and code.isdigit() else None
    return Refusal(status=500 if code is None or code < 400 else code, info=info)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Read a `Retry-After` header, seconds or a date; None where there is none legible.

    Source: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    # A comparison with NaN is false, so that it ends as None.
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if seconds == seconds else None


def _held_field(shape: Shape) -> str:
    """Name the field that holds schemas; empty: more than one does, or none."""
    form = shape.response_format
    holding = ["response_format"] if form and form.format is Format.JSON_SCHEMA else []
    holding += ["tools"] if shape.tools else []
    return holding[0] if len(holding) == 1 else ""


def _facts(refusal: Refusal) -> dict[str, str]:
    return {"backend_status": str(refusal.status)}


def _invalid(refusal: Refusal, revision: str, messages: Sequence[Message]) -> TameError:
    info = refusal.info
    # vLLM's resolver says so with 400 when it found an adapter that does not load.
    if info.param == "model" or info.message.startswith("LoRA adapter"):
        return _adapter_not_loaded(refusal, revision, messages)
    field = f"sampling.{info.param}" if info.param in _SAMPLING_FIELDS else ""
    return InvalidRequestError(
        f"the backend finds the request wrong: {_reason(info, messages)}",
        field=field,
        metadata=_facts(refusal),
    )


_ADVICE: Final[Mapping[str, str]] = {
    "body.stop": "send fewer stop strings, or let the operator set VLLM_MAX_STOP_STRINGS=64 in"
    " the server's environment, which takes 4 otherwise"
}


def _reason(info: ErrorInfo, messages: Sequence[Message]) -> str:
    """Say why, in the server's words where they do not quote the conversation."""
    text = " ".join(info.message[:_MAX_REASON_CHARS].split())
    # The list form quotes what it found wrong, which may be the text of a question.
    if not text or "validation error" in text or _quotes(text, messages):
        place = f"parameter {info.param[:64]}" if info.param else "it does not say which part"
        advice = "check messages and sampling against what the base model takes"
        return f"{place}; {_ADVICE.get(info.param or '', advice)}"
    return text if len(info.message) <= _MAX_REASON_CHARS else f"{text}…"


def _quotes(text: str, messages: Sequence[Message]) -> bool:
    """Tell whether a text may hold words of any message.

    Noticed always: four Chinese characters in a row, fourteen characters of anything, and a
    whole message.
    """
    texts = [message.content for message in messages]
    texts += [call.arguments for message in messages for call in message.tool_calls]
    contents = [" ".join(text.split()) for text in texts]
    stretches = [
        text[start : start + _QUOTE_CHARS]
        for start in range(0, len(text) - _QUOTE_CHARS + 1, _QUOTE_STEP)
    ]
    stretches += _CHINESE_QUOTE.findall(text)
    return any(stretch in content for content in contents for stretch in stretches) or any(
        content and content in text for content in contents
    )


def _refused_key(refusal: Refusal, revision: str, messages: Sequence[Message]) -> TameError:
    return BackendRefusedKeyError(
        f"the backend refused the router's key with status {refusal.status};"
        " set the right api_key or api_key_file for this backend",
        metadata=_facts(refusal),
    )


def _adapter_not_loaded(refusal: Refusal, revision: str, messages: Sequence[Message]) -> TameError:
    asked = f"adapter revision {revision!r}" if revision else "the base model it was asked for"
    return AdapterNotLoadedError(
        f"the backend runs and does not serve {asked};"
        " load it there, or check the backend's base_model and base_url",
        metadata={**_facts(refusal), "revision": revision},
        retry_after_s=refusal.retry_after_s or RETRY_AFTER_S,
    )


def _overloaded(refusal: Refusal, revision: str, messages: Sequence[Message]) -> TameError:
    wait_s = RETRY_AFTER_S if refusal.retry_after_s is None else refusal.retry_after_s
    return BackendOverloadedError(
        f"the backend has too much work (status {refusal.status}); try again in {wait_s:g} s",
        metadata=_facts(refusal),
        retry_after_s=wait_s,
    )


def _unavailable(refusal: Refusal, revision: str, messages: Sequence[Message]) -> TameError:
    wait_s = RETRY_AFTER_S if refusal.retry_after_s is None else refusal.retry_after_s
    return BackendUnavailableError(
        f"the backend cannot answer now (status {refusal.status}): it is starting, stopping or"
        f" busy; try again in {wait_s:g} s",
        metadata=_facts(refusal),
        retry_after_s=wait_s,
    )


def _failed(refusal: Refusal, revision: str, messages: Sequence[Message]) -> TameError:
    return BackendFailedError(
        f"the backend failed with status {refusal.status}; its log says why, look there for"
        " the request id",
        metadata=_facts(refusal),
    )


def _off_protocol(refusal: Refusal, revision: str, messages: Sequence[Message]) -> TameError:
    return BackendProtocolError(
        f"the backend answered with status {refusal.status}; expected 200 with an event stream:"
        " check that the backend's base_url is that of an OpenAI-compatible server",
        metadata=_facts(refusal),
    )


_Maker = Callable[[Refusal, str, Sequence[Message]], TameError]

_ERRORS: Final[Mapping[int, _Maker]] = {
    400: _invalid,
    401: _refused_key,
    403: _refused_key,
    404: _adapter_not_loaded,
    408: _overloaded,
    413: _invalid,
    422: _invalid,
    429: _overloaded,
    502: _unavailable,
    503: _unavailable,
    504: _unavailable,
}


def _table(status: int) -> _Maker:
    return _ERRORS.get(status, _failed if 500 <= status < 600 else _off_protocol)
