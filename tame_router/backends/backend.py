"""The seam between answering and whatever writes the words.

A backend takes one `Generation` and streams `Piece`s back. It decides nothing about
who answers or how answers are joined.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from tame_router.chat import FinishReason, Message, Sampling, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One call to a backend.

    Attributes:
        revision: Name of the adapter revision, `<expert>--<first 16 hex of the manifest digest>`;
            empty: the base model without adapter.
        messages: The whole prompt, system message first.
        sampling: Values resolved from caller and expert.
        request_id: Sent to the backend, so that its log can be matched with ours.
        deadline: Point on the event loop's clock (`loop.time()`), in seconds; None: no deadline.
        strict_max_tokens: The caller named `max_tokens`: refuse what does not fit the context,
            instead of answering shorter.
    """

    revision: str
    messages: tuple[Message, ...]
    sampling: Sampling
    request_id: str
    deadline: float | None = None
    strict_max_tokens: bool = False


@dataclass(slots=True, kw_only=True)
class Piece:
    """What one read from the backend brought.

    Attributes:
        text: New characters of the answer; may be empty when only the end arrived.
        finish_reason: Set on the last piece that ends the answer.
        usage: Set once, on or after the finishing piece.
    """

    text: str = ""
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


class Backend(Protocol):
    """A server, or a provider, that writes answers."""

    def open(self, generation: Generation) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        """Start a generation; leaving the context closes it on the backend too.

        Raises:
            TameError: From entering or iterating, any leaf of `BackendError`, or
                `InvalidRequestError` where the backend found the request at fault.
        """

    async def context_tokens(self) -> int | None:
        """Tell the base model's context length in tokens; None where it cannot be known.

        Raises:
            BackendError: When it is not known yet and the backend cannot be asked.
        """

    async def ready(self) -> bool:
        """Tell whether the backend would take a call now. Never raises `TameError`."""

    async def close(self) -> None:
        """Release connections. Open generations must have ended."""
