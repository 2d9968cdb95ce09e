"""Any provider that LiteLLM knows: for experts that do not live on a vLLM server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tame_router.backends.backend import RETRY_AFTER_S, Generation, Piece
from tame_router.backends.litellm.failure import failure_of
from tame_router.backends.litellm.library import (
    close_connections,
    litellm_library,
    require_installed,
)
from tame_router.backends.litellm.weighing import given
from tame_router.backends.openai.chat_choice import finish_of
from tame_router.backends.openai.chat_headers import headers_of
from tame_router.backends.openai.chat_request import encode_chat
from tame_router.backends.patience import Patience
from tame_router.chat import FinishReason, Message, Role, Sampling, ToolCallDelta, Usage
from tame_router.errors import (
    BackendProtocolError,
    InvalidRequestError,
    StreamBrokenError,
    TameError,
    UnsupportedError,
)

_NO_KEY: Final = "none"
"""Sent to a server of one's own that needs no key: without it LiteLLM would send it the key of
the big provider from the environment."""


_NOTHING: Final = Piece()
_PROBE_TOKENS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LitellmSpec:
    """Which provider, and how long it is waited for.

    Attributes:
        base_model: LiteLLM's name, `provider/model`: `openai/llama-3-taiwan`.
        revision_model: Name for a generation that asks for an adapter revision, with
            `{revision}` in its place: `openai/{revision}`; empty: `base_model` answers for every
            revision, as with a provider that has the adapter under a name of its own.
        api_base: Address of the provider; empty: LiteLLM knows it.
        api_key: Its key; empty: none where `api_base` is given, else what the provider's own
            environment variable holds. Never shown.
        context_tokens: Context length of the base model, ≥ 1; None: not known.
        first_token_timeout_s: Longest wait for the first token, > 0.
        stall_timeout_s: Longest silence between tokens, > 0.
    """

    base_model: str
    revision_model: str = ""
    api_base: str = ""
    api_key: str = field(default="", repr=False)
    context_tokens: int | None = None
    first_token_timeout_s: float = 60.0
    stall_timeout_s: float = 30.0


class LitellmBackend:
    """Answers by one provider.

    Args:
        spec: Which.

    Raises:
        ConfigError: When LiteLLM is not installed.
    """

    def __init__(self, spec: LitellmSpec) -> None:
        require_installed()
        self._spec = spec
        self._used = False

    async def warm(self) -> None:
        """Import LiteLLM now, in a worker thread, rather than with the first answer."""
        await litellm_library()

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncIterator["LitellmStream"]:
        """Start a generation; leaving the context closes it at the provider.

        Raises:
            BackendError: From entering or iterating.
            InvalidRequestError: When the provider finds the request at fault.
        """
        patience = Patience.of(
            generation,
            now=asyncio.get_running_loop().time(),
            first_token_timeout_s=self._spec.first_token_timeout_s,
            stall_timeout_s=self._spec.stall_timeout_s,
        )
        _refuse_several(generation)
        self._used = True
        chunks = await self._start(generation, patience)
        try:
            yield LitellmStream(chunks, generation, patience)
        finally:
            await chunks.aclose()

    async def prepare(self, revision: str, deadline: float) -> None:
        """Have the provider answer under a revision's name.

        Args:
            revision: The revision; empty: the base model.
            deadline: Until when that is waited for, on the event loop's clock.

        Raises:
            UnsupportedError: When one name answers there for every revision.
            BackendError: When it does not answer, or without words.
        """
        if revision and not self._spec.revision_model:
            raise UnsupportedError(
                f"the backend answers for every revision as {self._spec.base_model!r}, so"
                f" {revision!r} cannot be published there; set revision_model in the backend's"
                " settings, or bring the adapter to the provider by its own means"
            )
        probe = Generation(
            revision=revision,
            messages=(Message(role=Role.USER, content="."),),
            sampling=Sampling(max_tokens=_PROBE_TOKENS, temperature=0),
            request_id="probe",
            deadline=deadline,
        )
        async with self.open(probe) as pieces:
            words = "".join([piece.text async for piece in pieces])
        if not words:
            raise BackendProtocolError(
                f"the provider answered the probe of {revision or 'the base model'!r} without"
                " words; look at what it serves under that name"
            )

    async def context_tokens(self) -> int | None:
        """Tell the base model's context length in tokens, where the configuration says it."""
        return self._spec.context_tokens

    async def ready(self) -> bool:
        """Tell that calls are taken: a provider cannot be asked without paying for an answer."""
        return True

    async def close(self) -> None:
        """Close LiteLLM's connections, which all backends of this kind share."""
        if self._used:
            await close_connections()

    async def _start(self, generation: Generation, patience: Patience) -> Any:
        try:
            async with asyncio.timeout_at(patience.until(None)):
                library = await litellm_library()
                arguments = self._arguments(generation)
                if generation.shape.weighed:
                    arguments = given(library, arguments)
                return await library.acompletion(**arguments)
        except TimeoutError:
            raise patience.error(None) from None
        except Exception as error:
            # LiteLLM's exceptions have no base class of their own, and its providers add theirs.
            raise failure_of(
                error, begun=False, revision=generation.revision, messages=generation.messages
            ) from error

    def _arguments(self, generation: Generation) -> dict[str, Any]:
        spec = self._spec
        name = spec.base_model
        if generation.revision and spec.revision_model:
            name = spec.revision_model.replace("{revision}", generation.revision)
        wanted: dict[str, Any] = {
            "api_base": spec.api_base or None,
            "api_key": spec.api_key or (_NO_KEY if spec.api_base else None),
            "extra_headers": headers_of(generation) if spec.api_base else None,
        }
        if generation.shape.tools:
            # Else LiteLLM imports its MCP client, whose packages nobody has installed.
            wanted["_skip_mcp_handler"] = True
        # LiteLLM takes OpenAI's own words: the request that vLLM would get, read again.
        return {
            **json.loads(encode_chat(name, generation)),
            "timeout": max(spec.first_token_timeout_s, spec.stall_timeout_s),
            "max_retries": 0,
            **{key: value for key, value in wanted.items() if value is not None},
        }


class LitellmStream:
    """An asynchronous iterator over pieces, one for each chunk that LiteLLM gives.

    Args:
        chunks: LiteLLM's stream, closed by its owner.
        generation: What was asked.
        patience: How long words are waited for.
    """

    def __init__(self, chunks: Any, generation: Generation, patience: Patience) -> None:
        self._chunks = chunks
        self._generation = generation
        self._patience = patience
        self._spoke = False
        self._finished = False
        self._called = False

    def __aiter__(self) -> "LitellmStream":
        """Give itself: an answer is read once."""
        return self

    async def __anext__(self) -> Piece:
        """Wait for the next piece.

        Raises:
            BackendError: When the answer cannot be finished, or its time is up.
        """
        last_words = asyncio.get_running_loop().time() if self._spoke else None
        try:
            async with asyncio.timeout_at(self._patience.until(last_words)):
                while True:
                    piece = self._piece(await anext(self._chunks))
                    if piece is not None:
                        self._spoke = True
                        return piece
        except TimeoutError:
            raise self._patience.error(last_words) from None
        except StopAsyncIteration:
            if not self._finished:
                raise self._broken() from None
            raise
        except TameError:
            raise
        except Exception as error:
            raise failure_of(
                error,
                begun=True,
                revision=self._generation.revision,
                messages=self._generation.messages,
            ) from error

    def _piece(self, chunk: Any) -> Piece | None:
        """Read a chunk; None when it holds nothing of the answer."""
        piece = Piece()
        if chunk.choices:
            choice = chunk.choices[0]
            piece.text = choice.delta.content or ""
            piece.tool_calls = _calls(choice.delta)
            self._called = self._called or bool(piece.tool_calls)
            piece.logprobs = _logprobs(choice)
            if choice.finish_reason and not self._finished:
                piece.finish_reason = self._finish(str(choice.finish_reason))
        usage = getattr(chunk, "usage", None)
        if usage is not None and usage.total_tokens:
            piece.usage = Usage(
                prompt_tokens=usage.prompt_tokens or 0,
                completion_tokens=usage.completion_tokens or 0,
            )
        return piece if piece != _NOTHING else None

    def _finish(self, word: str) -> FinishReason:
        # LiteLLM makes up a "stop" where the provider sent none: a cut answer would look whole.
        if not (self._chunks.received_finish_reason or self._chunks.intermittent_finish_reason):
            raise self._broken()
        reason = finish_of(word, self._generation, called=self._called)
        self._finished = True
        return reason

    def _broken(self) -> StreamBrokenError:
        return StreamBrokenError(
            "the provider closed the stream before the answer was finished; try again",
            metadata={"revision": self._generation.revision},
            retry_after_s=RETRY_AFTER_S,
        )


def _refuse_several(generation: Generation) -> None:
    # LiteLLM keeps one finish_reason a stream: nobody could tell whether the others are whole.
    if generation.shape.choices > 1:
        raise InvalidRequestError(
            f"{generation.shape.choices} answers were asked for, and this expert's provider gives"
            " one at a time; leave n at 1, and ask again for another",
            field="n",
        )


def _calls(delta: Any) -> tuple[ToolCallDelta, ...]:
    return tuple(
        ToolCallDelta(
            index=call.index,
            id=call.id or "",
            name=call.function.name or "",
            arguments=call.function.arguments or "",
        )
        for call in getattr(delta, "tool_calls", None) or ()
    )


def _logprobs(choice: Any) -> bytes:
    tokens = getattr(getattr(choice, "logprobs", None), "content", None) or ()
    return json.dumps([token.model_dump() for token in tokens]).encode() if tokens else b""
