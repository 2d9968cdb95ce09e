"""The seam for joins: how the words of the selected experts become one answer."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from tame_router.answering.event import Event, ExpertFinish
from tame_router.answering.question import Question
from tame_router.catalog.expert import Expert

Emit = Callable[[Event], Awaitable[None]]
"""Sends one event to the caller.

What it gives is awaited at once, and waits while the caller cannot take more. It is `TAKEN` where
the caller can: a token then passes all who hand it on without a coroutine.
"""


class Join(Protocol):
    """One way to make an answer of several experts'."""

    async def run(
        self, experts: Sequence[Expert], question: Question, language: str, emit: Emit
    ) -> Sequence[ExpertFinish]:
        """Ask the experts, emit what they write, and tell how each ended.

        Args:
            experts: The selected ones, the lead first; never empty.
            question: What is asked.
            language: Language of the question, for notices.
            emit: Where events go.

        Raises:
            BackendError: When no answer could be finished.
        """
