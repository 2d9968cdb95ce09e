"""What a vLLM server thinks of given words, and how fast it writes: the questions of a gate.

Probabilities are asked for by token, so that nothing depends on how a text is cut; answers
are written by the same streaming call that callers' answers are.

Source: https://docs.vllm.ai/en/latest/serving/openai_compatible_server/ (`logprob_token_ids`)
"""

import asyncio
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from tame_router.backends.backend import Generation
from tame_router.backends.openai.chat_request import encode_tokenize
from tame_router.backends.openai.http_client import HttpClient
from tame_router.backends.openai.refusal import Refusal
from tame_router.backends.openai.wire import ModelCard, decode_answer, decode_error
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.backends.vllm.server import VllmServer
from tame_router.chat import Message, Sampling
from tame_router.errors import BackendProtocolError

_MAX_BODY_BYTES: Final = 2**28  # log-probabilities of every token of several long prompts

PRIORITY: Final = -1000
"""Of a gate's questions, where the server goes by priorities: behind all callers, whose tenants
have -100 to 100."""

PATIENCE_S: Final = 600.0
"""Longest silence of a server: what a gate asks waits for callers, and for what else it asks."""

TIMED_TOKENS: Final = 8
"""Tokens of an answer whose speed says something: they arrive in bursts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An answer that was written.

    Attributes:
        text: The whole of it.
        tokens: Its length in tokens, ≥ 0.
        first_token_s: From asking to the first character; None: there is none.
        elapsed_s: From asking to the end.
    """

    text: str
    tokens: int
    first_token_s: float | None
    elapsed_s: float

    @property
    def token_s(self) -> float | None:
        """Seconds a token behind the first; None where there are too few to tell."""
        if self.first_token_s is None or self.tokens < TIMED_TOKENS:
            return None
        return (self.elapsed_s - self.first_token_s) / (self.tokens - 1)


class TokenChoice(msgspec.Struct, frozen=True):
    """What one written token might have been: log-probabilities by `token_id:<id>`."""

    top_logprobs: tuple[Mapping[str, float], ...]


class ScoredPrompt(msgspec.Struct, frozen=True):
    """One prompt, and the token behind it."""

    index: int
    logprobs: TokenChoice


class Scored(msgspec.Struct, frozen=True):
    """Answer of `POST /v1/completions` that asked for one token behind each prompt."""

    choices: tuple[ScoredPrompt, ...]


class Tokens(msgspec.Struct, frozen=True):
    """Answer of `POST /tokenize`, the tokens alone."""

    tokens: tuple[int, ...]


class VllmScorer:
    """Asks one vLLM server; the adapter is loaded when its name is first used.

    Args:
        spec: Where the server is. Its timeouts are callers': they do not hold here.
    """

    def __init__(self, spec: VllmSpec) -> None:
        patient = replace(spec, first_token_timeout_s=PATIENCE_S, stall_timeout_s=PATIENCE_S)
        self._backend = VllmBackend(patient)
        self._priorities = spec.priorities
        self._http = HttpClient(
            base_url=spec.base_url,
            api_key=spec.api_key,
            connect_timeout_s=spec.connect_timeout_s,
            max_connections=spec.max_connections,
        )
        self._base_model = spec.base_model
        self._base_card: ModelCard | None = None
        self._letters: dict[str, tuple[int, ...]] = {}

    async def prompt_tokens(self, revision: str, messages: Sequence[Message]) -> tuple[int, ...]:
        """Give the tokens of a conversation, up to where the answer begins.

        Args:
            revision: Name of the adapter revision; empty: the base model without adapter.
            messages: The conversation, system message first.

        Raises:
            BackendError: When the server cannot be reached, refuses, or answers something else.
        """
        generation = Generation(
            revision=revision, messages=tuple(messages), sampling=Sampling(), request_id=""
        )
        body = encode_tokenize(await self._name(revision), generation)
        return decode_answer(Tokens, await self._post("/tokenize", body), "/tokenize").tokens

    async def text_tokens(self, revision: str, text: str) -> tuple[int, ...]:
        """Give the tokens of a text by itself.

        Raises:
            BackendError: As `prompt_tokens` does.
        """
        if known := self._letters.get(text):
            return known
        wanted = {"model": await self._name(revision), "prompt": text, "add_special_tokens": False}
        body = await self._post("/tokenize", msgspec.json.encode(wanted))
        tokens = decode_answer(Tokens, body, "/tokenize").tokens
        if len(text) == 1:  # asked for with every choice
            self._letters[text] = tokens
        return tokens

    async def log_probabilities(
        self, revision: str, prompts: Sequence[Sequence[int]], tokens: Collection[int]
    ) -> tuple[Mapping[int, float], ...]:
        """Tell how likely some tokens are to come next, behind each of several prompts.

        What vLLM calls `prompt_logprobs` would tell more at once, and is not used: with
        adapters, 0.32 on a CPU dies of it as soon as two requests run at the same time.

        Args:
            revision: As above.
            prompts: Tokens of each prompt, at least one prompt of at least one token.
            tokens: Those asked about, 1 to 128.

        Returns:
            For each prompt the log-probability of each token, in nats, ≤ 0.

        Raises:
            BackendError: As `prompt_tokens` does.
        """
        wanted = {
            "model": await self._name(revision),
            "prompt": prompts,
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": len(tokens) + 1,  # as many are written into the answer; the sampled one too
            "logprob_token_ids": sorted(tokens),
            "return_tokens_as_token_ids": True,  # several tokens may be the same broken character
        }
        if self._priorities:
            wanted["priority"] = -PRIORITY  # lower goes first with vLLM
        body = await self._post("completions", msgspec.json.encode(wanted))
        scored = sorted(
            decode_answer(Scored, body, "/v1/completions").choices, key=lambda one: one.index
        )
        try:
            return tuple(
                {token: one.logprobs.top_logprobs[0][f"token_id:{token}"] for token in tokens}
                for one, _ in zip(scored, prompts, strict=True)
            )
        except (LookupError, ValueError) as error:
            raise BackendProtocolError(
                f"the backend did not tell the probabilities of {len(tokens)} tokens behind"
                f" {len(prompts)} prompts; expected vLLM that knows `logprob_token_ids`:"
                " check base_url and vLLM's release"
            ) from error

    async def write(
        self, revision: str, messages: Sequence[Message], sampling: Sampling
    ) -> Written:
        """Let an answer be written.

        Args:
            revision: As above.
            messages: As above.
            sampling: Its values.

        Raises:
            BackendError: As `prompt_tokens` does, and when the answer breaks off.
        """
        clock = asyncio.get_running_loop().time
        generation = Generation(
            revision=revision,
            messages=tuple(messages),
            sampling=sampling,
            request_id=f"gate-{uuid.uuid4().hex}",
            priority=PRIORITY,
        )
        began = clock()
        first: float | None = None
        texts: list[str] = []
        tokens = 0
        async with self._backend.open(generation) as pieces:
            async for piece in pieces:
                if piece.text and first is None:
                    first = clock() - began
                texts.append(piece.text)
                if piece.usage is not None:
                    tokens = piece.usage.completion_tokens
        return Written(
            text="".join(texts), tokens=tokens, first_token_s=first, elapsed_s=clock() - began
        )

    async def memory_bytes(self) -> int | None:
        """Tell nothing: vLLM's `/metrics` knows the memory of its API server alone.

        Room for adapters is reserved when the engine starts, for `max_loras` of the largest rank.
        """
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._backend.close()
        await self._http.close()

    async def _name(self, revision: str) -> str:
        if revision or self._base_model:
            return revision or self._base_model
        if self._base_card is None:
            self._base_card = await VllmServer(self._http).base_card("")
        return self._base_card.id

    async def _post(self, path: str, body: bytes) -> bytes:
        source = await self._http.post(path, body)
        answer = await source.read_all(_MAX_BODY_BYTES)
        if source.status != 200:
            raise Refusal(
                status=source.status, info=decode_error(answer), retry_after_s=None
            ).error()
        return answer
