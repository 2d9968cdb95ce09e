"""A vLLM server, spoken to directly: HTTP, server-sent events and typed JSON."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from tame_router.backends.backend import Generation
from tame_router.backends.chat_stream import ChatStream
from tame_router.backends.context_window import ContextWindow, most_prompt_tokens
from tame_router.backends.http_client import HttpAnswer, HttpClient, HttpStream
from tame_router.backends.openai_wire import (
    ModelCard,
    ModelList,
    TokenizeAnswer,
    decode_answer,
    encode_chat,
    encode_tokenize,
)
from tame_router.backends.patience import Patience
from tame_router.backends.refusal import Refusal
from tame_router.errors import (
    BackendError,
    BackendProtocolError,
    ConfigError,
    ContextTooLongError,
)

READY_TIMEOUT_S: Final = 2.0
"""Longest wait for `/health`."""

PLAIN_TIMEOUT_S: Final = 10.0
"""Longest wait for `/v1/models`."""

_MAX_ERROR_BYTES: Final = 2**16
_MAX_MODELS_BYTES: Final = 2**22
_MAX_TOKENIZE_BYTES: Final = 2**25  # it lists every token of the prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmSpec:
    """Where a vLLM server is, and how long it is waited for.

    Attributes:
        base_url: Address of its OpenAI API, with `/v1`.
        base_model: Name it serves its base model under; empty: read from `/v1/models`.
        api_key: Its key; empty: none. Never shown.
        connect_timeout_s: Longest time to open a connection, > 0.
        first_token_timeout_s: Longest wait for the first token, > 0.
        stall_timeout_s: Longest silence between tokens, > 0.
        max_connections: Connections open at once, ≥ 1.
    """

    base_url: str = "http://127.0.0.1:8100/v1"
    base_model: str = ""
    api_key: str = field(default="", repr=False)
    connect_timeout_s: float = 5.0
    first_token_timeout_s: float = 60.0
    stall_timeout_s: float = 30.0
    max_connections: int = 1024

    def __post_init__(self) -> None:
        """Refuse a key that no header can carry."""
        if not (self.api_key.isascii() and (self.api_key.isprintable())):
            raise ConfigError(
                "api_key holds a character that an HTTP header cannot carry (a line break?);"
                " expected printable ASCII"
            )


class VllmBackend:
    """Answers by one vLLM server.

    Args:
        spec: Where it is.
    """

    def __init__(self, spec: VllmSpec) -> None:
        self._spec = spec
        self._http = HttpClient(
            base_url=spec.base_url,
            api_key=spec.api_key,
            connect_timeout_s=spec.connect_timeout_s,
            max_connections=spec.max_connections,
        )
        self._base_card: ModelCard | None = None

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncIterator[ChatStream]:
        """Start a generation; leaving the context early closes its connection at once.

        Raises:
            BackendError: From entering or iterating.
            InvalidRequestError: When the server finds the request at fault;
                `ContextTooLongError` when it does not fit the base model's context.
        """
        patience = Patience.of(
            deadline=generation.deadline,
            now=asyncio.get_running_loop().time(),
            first_token_timeout_s=self._spec.first_token_timeout_s,
            stall_timeout_s=self._spec.stall_timeout_s,
        )
        try:
            async with asyncio.timeout_at(patience.until(None)):
                source = await self._start(generation)
        except TimeoutError:
            raise patience.error(None) from None
        try:
            yield ChatStream(source, generation, patience)
        finally:
            source.close()

    async def context_tokens(self) -> int | None:
        """Tell the base model's context length in tokens; None where the server does not say.

        Asked once, then remembered.

        Raises:
            BackendError: When it is not known yet and the server does not answer.
        """
        return (await self._base()).max_model_len

    async def ready(self) -> bool:
        """Tell whether the server is healthy."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                source = await self._http.get("/health")
        except (BackendError, TimeoutError):
            return False
        source.close()
        return source.status == 200

    async def close(self) -> None:
        """Close the connections; generations must have ended."""
        await self._http.close()

    async def _start(self, generation: Generation) -> HttpStream:
        """Get a stream of the answer, asking for a shorter one where that is allowed."""
        served_name = generation.revision or await self._base_name()
        if await self._may_not_fit(generation):
            window = await self._measure(served_name, generation)
            if window is not None:
                window.max_tokens_for(generation)
        answer = await self._ask(served_name, generation)
        if isinstance(answer, Refusal) and answer.about_context:
            generation = await self._fitted(served_name, generation, answer)
            answer = await self._ask(served_name, generation)
        if isinstance(answer, Refusal):
            raise answer.error(generation)
        return answer

    async def _ask(self, served_name: str, generation: Generation) -> HttpStream | Refusal:
        source = await self._http.post(
            "chat/completions",
            encode_chat(served_name, generation.messages, generation.sampling),
            {"X-Request-Id": _header_value(generation.request_id)},
        )
        if source.status != 200:
            return await _refusal(source)
        if source.content_type != "text/event-stream":
            source.close()
            raise BackendProtocolError(
                f"the backend answered with {source.content_type[:80]!r}; expected"
                " text/event-stream: check that base_url is that of an OpenAI-compatible server"
            )
        return source

    async def _may_not_fit(self, generation: Generation) -> bool:
        """Tell whether `max_tokens` that the caller insists on has to be checked beforehand.

        vLLM refuses a `max_tokens` above the whole context, and cuts one that is above what the
        prompt leaves without saying so.
        """
        wanted = generation.sampling.max_tokens
        if not generation.strict_max_tokens or wanted is None:
            return False
        limit = await self.context_tokens()
        return limit is not None and most_prompt_tokens(generation.messages) + wanted > limit

    async def _fitted(
        self, served_name: str, generation: Generation, refusal: Refusal
    ) -> Generation:
        """Give the generation with as many tokens as fit, or say why there is none."""
        window = await self._measure(served_name, generation)
        if window is None:
            raise ContextTooLongError(
                "the conversation and max_tokens do not fit the base model's context, whose length"
                " the backend does not say: shorten the conversation, or ask for fewer tokens",
                field="messages",
            )
        max_tokens = window.max_tokens_for(generation)
        if max_tokens == generation.sampling.max_tokens:
            raise refusal.error(generation)  # it fits: something else is wrong with it
        return replace(generation, sampling=replace(generation.sampling, max_tokens=max_tokens))

    async def _measure(self, served_name: str, generation: Generation) -> ContextWindow | None:
        """Count the prompt's tokens; None where the server cannot."""
        source = await self._http.post(
            "/tokenize", encode_tokenize(served_name, generation.messages)
        )
        answer = await _whole(source, _MAX_TOKENIZE_BYTES)
        if answer.status != 200:
            return None
        counted = decode_answer(TokenizeAnswer, answer.body, "/tokenize")
        return ContextWindow(prompt_tokens=counted.count, context_tokens=counted.max_model_len)

    async def _base_name(self) -> str:
        return self._spec.base_model or (await self._base()).id

    async def _base(self) -> ModelCard:
        if self._base_card is None:
            cards = await self._models()
            named = [card for card in cards.data if card.id == self._spec.base_model]
            bases = named or [card for card in cards.data if card.parent is None]
            if not bases:
                raise BackendProtocolError(
                    "the backend's /v1/models lists no base model; expected one without parent:"
                    " check that base_url is that of a vLLM server"
                )
            self._base_card = bases[0]
        return self._base_card

    async def _models(self) -> ModelList:
        try:
            async with asyncio.timeout(PLAIN_TIMEOUT_S):
                source = await self._http.get("models")
                answer = await _whole(source, _MAX_MODELS_BYTES)
        except TimeoutError:
            ...
        raise NotImplementedError


async def _whole(source: HttpStream, max_bytes: int) -> HttpAnswer:
    try:
        return HttpAnswer(status=source.status, body=await source.read_all(max_bytes))
    finally:
        source.close()
