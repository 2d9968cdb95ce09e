"""The seam between the gate and the engine that it asks; `backends.vllm.scoring` fulfils it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from tame_router.backends.vllm.scoring import Written
from tame_router.chat import Message, Sampling


class EngineProbe(Protocol):
    """One engine that has both revisions loaded, or loads them when they are first named."""

    async def prompt_tokens(self, revision: str, messages: Sequence[Message]) -> tuple[int, ...]:
        """Give the tokens of a conversation, up to where the answer begins.

        Raises:
            BackendError: When the engine cannot be asked, or refuses.
        """

    async def text_tokens(self, revision: str, text: str) -> tuple[int, ...]:
        """Give the tokens of a text by itself; errors as above."""

    async def log_probabilities(
        self, revision: str, prompts: Sequence[Sequence[int]], tokens: Collection[int]
    ) -> tuple[Mapping[int, float], ...]:
        """Tell the log-probability of some tokens, at most 128, behind each prompt, in nats."""

    async def write(
        self, revision: str, messages: Sequence[Message], sampling: Sampling
    ) -> Written:
        """Let an answer be written; errors as above."""

    async def memory_bytes(self) -> int | None:
        """Tell the engine's memory; None where it cannot be known."""
