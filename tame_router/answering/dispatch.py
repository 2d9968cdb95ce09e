"""Open one expert's stream: its prompt, its sampling, its live revision, its backend."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from tame_router.answering.prompt import compose
from tame_router.answering.question import Question
from tame_router.backends.backend import Backend, Generation, Piece
from tame_router.catalog.expert import Expert


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
            messages=compose(expert.prompt, question.messages),
            sampling=question.sampling.over(expert.sampling),
            request_id=question.answer_id,
            deadline=question.deadline,
            strict_max_tokens=question.sampling.max_tokens is not None,
        )
        return self.backends[expert.backend].open(generation)
