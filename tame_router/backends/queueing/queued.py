"""A backend with a queue before it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import TracebackType
from typing import Final

from tame_router.backends.backend import Backend, Generation, Piece, Take
from tame_router.backends.queueing.places import Places
from tame_router.backends.queueing.spec import QueueSpec, QueueWitness
from tame_router.errors import BackendOverloadedError, BackendSilentError, BackendUnavailableError

_BUSY: Final = "503"
_LEAST_S: Final = 1e-3


class QueuedBackend:
    """Gives a backend as many answers at once as it can write, and lets others wait.

    Args:
        backend: The backend; it is closed with this one.
        spec: The queue's rules.
        witness: Is told what happens; None: nobody is.

    Attributes:
        backend: The backend itself, for what does not wait behind callers.
        places: Who has a place there, and who waits.
    """

    def __init__(
        self, backend: Backend, spec: QueueSpec, witness: QueueWitness | None = None
    ) -> None:
        self.backend = backend
        self.places = Places(spec, witness)

    def open(self, generation: Generation) -> "QueuedAnswer":
        """Start a generation when it is its turn; leaving the context gives its place back.

        Raises:
            BackendOverloadedError: From entering, at once: its turn would come too late.
            DeadlineExceededError: From entering: its turn did not come in time.
            TameError: From entering or iterating, as the backend does.
        """
        return QueuedAnswer(self.backend, self.places, generation)

    async def context_tokens(self) -> int | None:
        """Tell the base model's context length in tokens, as the backend does.

        Raises:
            BackendError: As the backend does.
        """
        return await self.backend.context_tokens()

    async def ready(self) -> bool:
        """Tell whether the backend would take a call now; whether it has room is not asked."""
        return await self.backend.ready()

    async def close(self) -> None:
        """Close the backend."""
        await self.backend.close()


class QueuedAnswer:
    """One answer: a context that is entered when it has a place, and its pieces.

    Args:
        backend: Who writes it.
        places: Where it waits.
        generation: What is asked.
    """

    __slots__ = (
        "_backend",
        "_began",
        "_generation",
        "_loop",
        "_next",
        "_opened",
        "_places",
        "_spoke",
        "_waited_s",
    )

    def __init__(self, backend: Backend, places: Places, generation: Generation) -> None:
        self._backend = backend
        self._places = places
        self._generation = generation
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._spoke = False
        self._waited_s: float | None = None
        self._opened: AbstractAsyncContextManager[AsyncIterator[Piece]]
        self._next: AsyncIterator[Piece]

    async def __aenter__(self) -> "QueuedAnswer":
        """Wait for a place, then start the generation.

        Raises:
            TameError: As `QueuedBackend.open` says.
        """
        places = self._places
        if not places.free(self._generation.tenant):
            await self._wait()
        places.adaptive.asked(id(self), began=self._began, crowded=places.crowded)
        try:
            self._opened = self._backend.open(self._generation)
            self._next = await self._opened.__aenter__()
        except BaseException as error:
            self._end(error)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        """Stop the generation, and give the place back."""
        try:
            return await self._opened.__aexit__(kind, error, trace)
        finally:
            self._end(error)

    def __aiter__(self) -> "QueuedAnswer":
        """Give itself: an answer is read once."""
        return self

    def __anext__(self) -> Awaitable[Piece]:
        """Wait for the next piece; all but the first words come straight from the backend.

        Raises:
            TameError: As the backend does.
        """
        return self._next.__anext__() if self._spoke else self._first()

    def divert(self, take: Take) -> None:
        """Have words given away as they arrive, once the first are read; see `Divertible`."""
        if self._spoke:
            divert = getattr(self._next, "divert", None)  # asking for the protocol costs far more
            if divert is not None:
                divert(take)

    async def _first(self) -> Piece:
        piece = await self._next.__anext__()
        if piece.text or piece.tool_calls or piece.logprobs:
            self._spoke = True
            adaptive = self._places.adaptive
            adaptive.heard(id(self))
            self._waited_s = adaptive.first_token(
                began=self._began,
                now=self._loop.time(),
                prompt_chars=sum(len(turn.content) for turn in self._generation.messages),
            )
            self._places.move()  # there may be more of them now
        return piece

    async def _wait(self) -> None:
        generation, came = self._generation, self._began
        await self._places.turn(generation, came)
        self._began = self._loop.time()
        if generation.first_token_timeout_s is not None:
            left_s = came + generation.first_token_timeout_s - self._began
            self._generation = replace(generation, first_token_timeout_s=max(left_s, _LEAST_S))

    def _end(self, error: BaseException | None) -> None:
        places, now = self._places, self._loop.time()
        held_s = now - self._began
        if self._spoke:
            places.adaptive.ended(held_s=held_s, waited_s=self._waited_s)
        else:
            places.adaptive.heard(id(self))
            if error is not None and _too_busy(error):
                places.adaptive.refused(began=self._began, now=now, under_way=places.under_way)
        failed = error is not None and not self._spoke
        places.end(self._generation.tenant, held_s, failed=failed)


def _too_busy(error: BaseException) -> bool:
    """Tell whether an error says that the backend has more work than it can do."""
    if isinstance(error, BackendSilentError):
        return not error.impatient
    if isinstance(error, BackendUnavailableError):
        return error.metadata.get("backend_status") == _BUSY
    return isinstance(error, BackendOverloadedError)
