"""Questions and answers in the log, for those who ask for it. Mind privacy."""

import logging
from collections.abc import Awaitable

from tame_router.answering.event import Delta, Event, Final
from tame_router.answering.join import Emit
from tame_router.answering.question import Question
from tame_router.chat import Role
from tame_router.telemetry import log


class Transcript:
    """Passes events on, keeps their text, and logs it at the end.

    Args:
        question: What is asked.
        emit: Where events go.
    """

    def __init__(self, question: Question, emit: Emit) -> None:
        self._question = question
        self._emit = emit
        self._texts: list[str] = []

    def emit(self, event: Event) -> Awaitable[None]:
        """Pass an event on."""
        if isinstance(event, Delta):
            self._texts.append(event.text)
        return self._end(event) if isinstance(event, Final) else self._emit(event)

    async def _end(self, final: Final) -> None:
        await self._emit(final)
        log.event(
            logging.INFO,
            "answer.texts",
            answer_id=self._question.answer_id,
            question=_asked(self._question),
            answer="".join(self._texts),
        )


def _asked(question: Question) -> str:
    """Give the user's last turn, which a tool's result may follow."""
    turns = (m.content for m in reversed(question.messages) if m.role is Role.USER)
    return next(turns, "")
