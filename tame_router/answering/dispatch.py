"""Open one expert's stream: its prompt, its sampling, its live revision, its backend."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from msgspec.structs import replace

from tame_router.answering.prompt import compose
from tame_router.answering.question import Question
from tame_router.backends.backend import Backend, Generation, Piece
from tame_router.backends.queueing.queued import QueuedBackend
from tame_router.catalog.expert import Expert
from tame_router.chat import Format, Sampling, Shape, ToolMode

_AS_IT_IS = Sampling()


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Knows every backend by its name."""

    backends: Mapping[str, Backend]

    def open(
        self, expert: Expert, question: Question
    ) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        """Ask one expert; leaving the context stops its generation.

        Raises:
            BackendError: From entering or iterating.
        """
        generation = Generation(
            revision=expert.live_revision,
            messages=compose(expert, question.messages, question.documents),
            sampling=_sampling(expert, question),
            request_id=question.answer_id,
            deadline=question.deadline,
            strict_max_tokens=question.sampling.max_tokens is not None,
            shape=question.shape,
            trace=question.trace,
            first_token_timeout_s=question.first_token_timeout_s,
            stall_timeout_s=question.stall_timeout_s,
            begin_by=question.begin_by,
            priority=question.priority,
            aside=question.aside,
            tenant=question.tenant,
            begun=question.begun,
        )
        return self.backends[expert.backend].open(generation)

    def require_room(self, names: Iterable[str], question: Question) -> None:
        """Make sure that one of some backends would let a question in now. Nothing is held for it.

        Args:
            names: The backends, at least one.
            question: What would be asked.

        Raises:
            BackendOverloadedError: When none would; it is the first one's.
        """
        now = asyncio.get_running_loop().time()
        first, *others = (self.backends[name] for name in names)
        for backend in others:
            if not isinstance(backend, QueuedBackend) or backend.places.has_room(question, now):
                return
        # Last, so that where it is the only one it is looked at once, and says no itself.
        if isinstance(first, QueuedBackend):
            first.places.require_room(question, now)


def _sampling(expert: Expert, question: Question) -> Sampling:
    asked = question.sampling
    sampling = expert.sampling if asked == _AS_IT_IS else asked.over(expert.sampling)
    if _ends_by_itself(question.shape):
        # An expert's stop string may stand inside the JSON, and would cut it in two.
        return replace(sampling, stop=question.sampling.stop)
    return sampling


def _ends_by_itself(shape: Shape) -> bool:
    """Tell whether the backend holds the whole answer to a form, which says where it ends."""
    held = shape.response_format is not None and shape.response_format.format is not Format.TEXT
    choice = shape.tool_choice
    return held or (choice is not None and choice.mode in {ToolMode.REQUIRED, ToolMode.NAMED})
