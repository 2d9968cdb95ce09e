"""The seam between answering and whatever writes the words.

A backend takes one `Generation` and streams `Piece`s back. It decides nothing about
who answers or how answers are joined.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol, TypeGuard

import msgspec

from tame_router.chat import FinishReason, Message, Sampling, Shape, ToolCallDelta, Usage

RETRY_AFTER_S: Final = 1.0
"""When to try again where a server does not say."""


class Generation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
        shape: What the answer may consist of, beside plain text.
        trace: Headers that carry the trace on, `traceparent` among them; empty: none.
        first_token_timeout_s: Longest wait for the first token; None: the backend's own, which
            holds too.
        stall_timeout_s: Longest silence between tokens; None: as above.
        begin_by: Point on the event loop's clock by which the caller's deadline lets the first
            token come, where that is before the deadline itself; None: it does not say.
        continued: The last message is the beginning of the answer: only the rest is wanted.
        counted: Every piece is to say how many tokens there are so far.
        priority: Who goes first where there is more work than capacity: higher before lower.
        aside: Nobody waits for it: a failure is held against no replica, and no other is asked.
        tenant: Who asks, so that each gets its share of places; empty: all who do not say.
        begun: It belongs to an answer that others have written for already, and goes before
            answers that have not begun.
    """

    revision: str
    messages: tuple[Message, ...]
    sampling: Sampling
    request_id: str
    deadline: float | None = None
    strict_max_tokens: bool = False
    shape: Shape = Shape()
    trace: Mapping[str, str] = {}
    first_token_timeout_s: float | None = None
    stall_timeout_s: float | None = None
    begin_by: float | None = None
    continued: bool = False
    counted: bool = False
    priority: int = 0
    aside: bool = False
    tenant: str = ""
    begun: bool = False


class Piece(msgspec.Struct, kw_only=True, gc=False):
    """What one read from the backend brought; a struct, for there is one for nearly each token.

    Attributes:
        text: New characters of the answer; may be empty when only the end arrived.
        finish_reason: Set on the last piece that ends the answer.
        usage: Set once, on or after the finishing piece; where tokens are counted, with the first
            of them too.
        choice: Which of several answers it belongs to, ≥ 0.
        tool_calls: Pieces of calls the expert wants made.
        logprobs: JSON text of OpenAI's `logprobs.content` list for this text; empty: none.
        marks: Where tokens are counted: after so many characters of the answer, so many tokens;
            one for each event, in order.
    """

    text: str = ""
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    choice: int = 0
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: bytes = b""
    marks: Sequence[tuple[int, int]] = ()


class Taken:
    """Awaited, it is over at once: nothing has to be waited for."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        """Wait for nothing."""
        yield from ()


TAKEN: Final = Taken()

Take = Callable[[Piece], Awaitable[None]]
"""Takes a piece, and raises no `TameError`, which would pass for the backend's.

What it gives is awaited before the next one, or never where the answer ends first. `TAKEN`: there
can be more at once.
"""


class Divertible(Protocol):
    """Pieces of an answer that can be had without being read."""

    def divert(self, take: Take) -> None:
        """Give plain words away in the moment in which they arrive and the next piece is awaited.

        Nobody is woken for them then, which is most of what a token costs. All other pieces are
        read as ever, and so is what comes while nobody waits: the order stays.
        """


def divertible(pieces: object) -> TypeGuard[Divertible]:
    """Tell whether pieces can be had without being read."""
    # A protocol that `isinstance` knows takes 20 times as long, with every answer.
    return hasattr(pieces, "divert")


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
