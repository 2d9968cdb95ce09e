"""A vLLM server, spoken to directly: one POST, then pieces as its bytes arrive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from msgspec.structs import replace

from tame_router.backends.backend import RETRY_AFTER_S, Generation
from tame_router.backends.context_window import most_prompt_tokens
from tame_router.backends.openai.chat_stream import ChatStream
from tame_router.backends.openai.http_client import HttpClient
from tame_router.backends.openai.http_stream import HttpStream
from tame_router.backends.openai.refusal import Refusal
from tame_router.backends.openai.wire import ModelCard
from tame_router.backends.patience import Patience
from tame_router.backends.standstill import TimeLimit
from tame_router.backends.vllm.identity import ServerIdentity
from tame_router.backends.vllm.metrics import EngineMetrics
from tame_router.backends.vllm.server import VllmServer
from tame_router.errors import (
    BackendProtocolError,
    BackendSilentError,
    BackendUnavailableError,
    ConfigError,
)


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
        priorities: The server goes by priorities (`--scheduling-policy priority`), so they are
            sent.
    """

    base_url: str = "http://127.0.0.1:8100/v1"
    base_model: str = ""
    api_key: str = field(default="", repr=False)
    connect_timeout_s: float = 5.0
    first_token_timeout_s: float = 60.0
    stall_timeout_s: float = 30.0
    max_connections: int = 1024
    priorities: bool = False

    def __post_init__(self) -> None:
        """Refuse a key that no header can carry."""
        if not (self.api_key.isascii() and self.api_key.isprintable()):
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
        self._server = VllmServer(self._http)
        self._base_card: ModelCard | None = None

    @property
    def spec(self) -> VllmSpec:
        """Where the server is."""
        return self._spec

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncIterator[ChatStream]:
        """Start a generation; leaving the context early closes its connection at once.

        Raises:
            BackendError: From entering or iterating.
            InvalidRequestError: When the server finds the request at fault;
                `ContextTooLongError` when it does not fit the base model's context.
        """
        stream = await self.start(generation)
        try:
            yield stream
        finally:
            stream.close()

    async def start(self, generation: Generation) -> ChatStream:
        """Start a generation whose stream the caller closes, however it ends.

        Raises:
            BackendError: When the server does not begin the answer.
            InvalidRequestError: As `open` does.
        """
        patience = Patience.of(
            generation,
            now=asyncio.get_running_loop().time(),
            first_token_timeout_s=self._spec.first_token_timeout_s,
            stall_timeout_s=self._spec.stall_timeout_s,
        )
        try:
            async with TimeLimit(patience.until(None)):
                source = await self._start(generation)
        except TimeoutError:
            raise patience.error(None) from None
        return ChatStream(source, generation, patience)

    async def check(self) -> ServerIdentity:
        """Make sure that the server is well, and serves the base model that it should.

        Tells what it is.

        Raises:
            BackendError: When it is not, or does not.
        """
        status = await self._server.health()
        if status != 200:
            raise BackendUnavailableError(
                f"the backend's /health answers with {status}: it is starting, stopping or ill;"
                f" try again in {RETRY_AFTER_S:g} s",
                retry_after_s=RETRY_AFTER_S,
            )
        card, adapters = await self._server.inventory(self._spec.base_model)
        if self._spec.base_model and card.id != self._spec.base_model:
            raise BackendProtocolError(
                f"the backend serves {card.id[:80]!r}; expected {self._spec.base_model!r}:"
                " start it with that base model, or set base_model and the addresses right",
                metadata={"served": card.id[:80]},
            )
        self._base_card = card
        return ServerIdentity(
            base_model=card.id, context_tokens=card.max_model_len, adapters=adapters
        )

    async def metrics(self) -> EngineMetrics:
        """Read what the server tells of its load and its adapters.

        Raises:
            BackendError: When it does not answer in a short time, or tells something else.
        """
        return await self._server.metrics()

    async def prepare(self, revision: str, deadline: float) -> None:
        """Have the server load a revision and answer under its name.

        Args:
            revision: The revision; empty: the base model.
            deadline: Until when that is waited for, on the event loop's clock.

        Raises:
            BackendError: When it does not, or answers rubbish.
            InvalidRequestError: When the server finds the request at fault.
        """
        try:
            async with TimeLimit(deadline):
                name = revision or self._spec.base_model or (await self._base()).id
                await self._server.probe(name)
        except TimeoutError:
            raise BackendSilentError(
                f"the backend did not load {revision or 'the base model'!r} and answer under its"
                " name in the time it was given; look at its load and its log, then try again",
                retry_after_s=RETRY_AFTER_S,
            ) from None

    async def context_tokens(self) -> int | None:
        """Tell the base model's context length in tokens; None where the server does not say.

        Asked once, then remembered.

        Raises:
            BackendError: When it is not known yet and the server does not answer.
        """
        return (await self._base()).max_model_len

    async def ready(self) -> bool:
        """Tell whether the server is healthy."""
        return await self._server.healthy()

    async def close(self) -> None:
        """Close the connections; generations must have ended."""
        await self._http.close()

    async def _start(self, generation: Generation) -> HttpStream:
        """Get the stream of an answer, of a shorter one where only that fits and is allowed."""
        served_name = generation.revision or self._spec.base_model or (await self._base()).id
        if await self._may_be_cut(generation):
            window = await self._server.measure(served_name, generation)
            if window is not None:
                window.max_tokens_for(generation)
        answer = await self._ask(served_name, generation)
        if isinstance(answer, Refusal) and answer.about_context:
            generation = await self._fitted(served_name, generation, answer)
            answer = await self._ask(served_name, generation)
        if isinstance(answer, Refusal):
            raise answer.error(generation.revision, generation.messages, generation.shape)
        return answer

    async def _ask(self, served_name: str, generation: Generation) -> HttpStream | Refusal:
        # Higher goes first with us, lower with vLLM.
        priority = -generation.priority if self._spec.priorities else 0
        return await self._server.chat(served_name, generation, priority)

    async def _may_be_cut(self, generation: Generation) -> bool:
        """Tell whether the `max_tokens` that the caller insists on must be checked beforehand.

        vLLM refuses one above the whole context, but silently cuts one above what the prompt
        leaves. Most prompts are so short that no counting is needed.
        """
        wanted = generation.sampling.max_tokens
        if not generation.strict_max_tokens or wanted is None:
            return False
        limit = await self.context_tokens()
        return limit is not None and most_prompt_tokens(generation) + wanted > limit

    async def _fitted(
        self, served_name: str, generation: Generation, refusal: Refusal
    ) -> Generation:
        """Give the generation with as many tokens as fit, or raise why there is none."""
        window = await self._server.measure(served_name, generation)
        wanted = generation.sampling.max_tokens
        max_tokens = wanted if window is None else window.max_tokens_for(generation)
        if max_tokens == wanted:  # it fits, or nobody can tell: the server's word stands
            raise refusal.error(generation.revision, generation.messages, generation.shape)
        return replace(generation, sampling=replace(generation.sampling, max_tokens=max_tokens))

    async def _base(self) -> ModelCard:
        if self._base_card is None:
            self._base_card = await self._server.base_card(self._spec.base_model)
        return self._base_card
