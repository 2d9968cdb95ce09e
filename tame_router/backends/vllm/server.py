"""What a vLLM server offers over HTTP, one method an endpoint: requests out, values back."""

from datetime import UTC, datetime
from typing import Final

from tame_router.backends.backend import RETRY_AFTER_S, Generation
from tame_router.backends.context_window import ContextWindow
from tame_router.backends.openai.chat_headers import headers_of
from tame_router.backends.openai.chat_request import encode_chat, encode_tokenize
from tame_router.backends.openai.http_client import HttpClient
from tame_router.backends.openai.http_stream import HttpStream
from tame_router.backends.openai.refusal import Refusal, retry_after_s
from tame_router.backends.openai.wire import (
    ErrorInfo,
    ModelCard,
    ModelList,
    TokenizeAnswer,
    decode_answer,
    decode_error,
)
from tame_router.backends.standstill import answered
from tame_router.backends.vllm.metrics import EngineMetrics, parse_metrics
from tame_router.backends.vllm.revision_probe import check_probe, encode_probe
from tame_router.errors import BackendError, BackendProtocolError, BackendSilentError

HEALTH_TIMEOUT_S: Final = 2.0
"""Longest wait for `/health`."""

MODELS_TIMEOUT_S: Final = 10.0
"""Longest wait for `/v1/models`."""

METRICS_TIMEOUT_S: Final = 2.0
"""Longest wait for `/metrics`."""

_MAX_ERROR_BYTES: Final = 2**16
_MAX_PROBE_BYTES: Final = 2**16
_MAX_MODELS_BYTES: Final = 2**22
_MAX_METRICS_BYTES: Final = 2**22  # it keeps a line for every set of adapters there ever was
_MAX_TOKENIZE_BYTES: Final = 2**25  # it lists every token of the prompt
_EVENT_STREAM: Final = "text/event-stream"


class VllmServer:
    """One vLLM server.

    Source: https://docs.vllm.ai/en/latest/serving/openai_compatible_server/

    Args:
        http: The connection to it, closed by its owner.
    """

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def chat(
        self, served_name: str, generation: Generation, priority: int = 0
    ) -> HttpStream | Refusal:
        """Ask for a streamed answer; the stream begins with its first event.

        Args:
            served_name: The adapter revision, or the base model, by the server's name for it.
            generation: What is asked; its request id appears in the server's log.
            priority: The server's: lower goes first; 0 is not sent.

        Raises:
            InvalidRequestError: When a text cannot be written as UTF-8, or a schema is not JSON.
            BackendError: When the server cannot be reached, or does not send an event stream.
        """
        source = await self._http.post(
            "chat/completions",
            encode_chat(served_name, generation, priority=priority),
            headers_of(generation),
        )
        if source.status != 200:
            return await _refusal(source)
        if source.content_type != _EVENT_STREAM:
            source.close()
            raise BackendProtocolError(
                f"the backend answered with {source.content_type[:80]!r}; expected {_EVENT_STREAM}:"
                " check that base_url is the address of an OpenAI-compatible server"
            )
        return source

    async def probe(self, served_name: str) -> None:
        """Have a base model, or an adapter revision, write a few tokens under its name.

        A revision that is not loaded yet is loaded by it.

        Raises:
            InvalidRequestError: When the server finds the request at fault.
            BackendError: When the server does not know it, cannot be reached, or answers rubbish.
        """
        headers = {"X-Request-Id": "probe"}
        source = await self._http.post("chat/completions", encode_probe(served_name), headers)
        if source.status != 200:
            raise (await _refusal(source)).error(served_name)
        check_probe(served_name, await source.read_all(_MAX_PROBE_BYTES))

    async def measure(self, served_name: str, generation: Generation) -> ContextWindow | None:
        """Count a prompt's tokens; None where the server does not do that.

        Raises:
            InvalidRequestError: When a text cannot be written as UTF-8, or a schema is not JSON.
            BackendError: When the server cannot be reached, or answers with something else.
        """
        source = await self._http.post("/tokenize", encode_tokenize(served_name, generation))
        body = await source.read_all(_MAX_TOKENIZE_BYTES)
        if source.status != 200:
            return None
        counted = decode_answer(TokenizeAnswer, body, "/tokenize")
        return ContextWindow(prompt_tokens=counted.count, context_tokens=counted.max_model_len)

    async def base_card(self, served_name: str) -> ModelCard:
        """Look the base model up; as `inventory` does.

        Raises:
            BackendError: When the server cannot be reached, refuses, or has no base model.
        """
        return (await self.inventory(served_name))[0]

    async def inventory(self, served_name: str) -> tuple[ModelCard, tuple[str, ...]]:
        """Look up the base model, and the names of the adapters that are loaded.

        Args:
            served_name: The server's name for it; the first of the list where it has no such.

        Raises:
            BackendError: When the server cannot be reached, refuses, or has no base model.
        """
        try:
            cards = await answered(self._models, MODELS_TIMEOUT_S)
        except TimeoutError:
            raise BackendSilentError(
                f"the backend did not answer /v1/models within {MODELS_TIMEOUT_S:g} s;"
                " it is overloaded or stuck: try again",
                retry_after_s=RETRY_AFTER_S,
            ) from None
        bases = [card for card in cards if card.parent is None]
        named = [card for card in bases if card.id == served_name]
        if not bases:
            raise BackendProtocolError(
                "the backend's /v1/models lists no base model; expected at least one:"
                " check that base_url is the address of a vLLM server"
            )
        adapters = tuple(card.id for card in cards if card.parent is not None)
        return (named or bases)[0], adapters

    async def metrics(self) -> EngineMetrics:
        """Read what the server tells of its load.

        Raises:
            BackendError: When it does not answer in a short time, or tells something else.
        """
        try:
            status, body = await answered(self._metrics, METRICS_TIMEOUT_S)
        except TimeoutError:
            raise BackendSilentError(
                f"the backend did not answer /metrics within {METRICS_TIMEOUT_S:g} s;"
                " its queue is not known",
                retry_after_s=RETRY_AFTER_S,
            ) from None
        if status != 200:
            raise BackendProtocolError(
                f"the backend answers /metrics with {status}; expected 200: its queue is"
                " not known, as with --disable-log-stats"
            )
        return parse_metrics(body.decode("utf-8", "replace"))

    async def healthy(self) -> bool:
        """Tell whether the server answers `/health` with 200 in a short time."""
        try:
            return await self.health() == 200
        except BackendError:
            return False

    async def health(self) -> int:
        """Give the status that the server answers `/health` with.

        Raises:
            BackendError: When it does not answer in a short time.
        """
        try:
            return await answered(self._health, HEALTH_TIMEOUT_S)
        except TimeoutError:
            raise BackendSilentError(
                f"the backend did not answer /health within {HEALTH_TIMEOUT_S:g} s;"
                " it is overloaded or stuck: try again",
                retry_after_s=RETRY_AFTER_S,
            ) from None

    async def _health(self) -> int:
        source = await self._http.get("/health")
        await source.read_all(_MAX_ERROR_BYTES)
        return source.status

    async def _metrics(self) -> tuple[int, bytes]:
        source = await self._http.get("/metrics")
        return source.status, await source.read_all(_MAX_METRICS_BYTES)

    async def _models(self) -> tuple[ModelCard, ...]:
        source = await self._http.get("models")
        if source.status != 200:
            raise (await _refusal(source)).error()
        body = await source.read_all(_MAX_MODELS_BYTES)
        return decode_answer(ModelList, body, "/v1/models").data


async def _refusal(source: HttpStream) -> Refusal:
    """Read a refusal; its status counts even where its body is broken or endless."""
    wait_s = retry_after_s(source.header("Retry-After"), datetime.now(UTC))
    try:
        info = decode_error(await source.read_all(_MAX_ERROR_BYTES))
    except BackendError:
        info = ErrorInfo()
    return Refusal(status=source.status, info=info, retry_after_s=wait_s)
