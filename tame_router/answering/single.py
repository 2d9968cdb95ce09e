"""The plainest join: the lead expert answers alone, without a task or a queue of its own."""

import asyncio
from collections.abc import Sequence

from tame_router.answering.course import Voice, follow
from tame_router.answering.dispatch import Dispatch
from tame_router.answering.event import ExpertFinish, ExpertStart
from tame_router.answering.join import Emit
from tame_router.answering.question import Question
from tame_router.answering.substitution import Substitution, Vacancy
from tame_router.catalog.expert import Expert
from tame_router.errors import TameError


class SingleJoin:
    """Streams the lead expert's words as they arrive.

    Args:
        dispatch: Opens experts' streams.
        substitution: Has others answer where the expert's backend is gone; None: nobody does.
    """

    def __init__(self, dispatch: Dispatch, substitution: Substitution | None = None) -> None:
        self._dispatch = dispatch
        self._substitution = substitution

    async def run(
        self, experts: Sequence[Expert], question: Question, language: str, emit: Emit
    ) -> Sequence[ExpertFinish]:
        """Ask the first expert and pass its words on.

        Raises:
            BackendError: When the expert did not finish its answer, nor anybody for it.
        """
        expert = experts[0]
        begun, notice = asyncio.get_running_loop().time(), expert.notice(language)
        voice = Voice(expert, emit)
        await emit(ExpertStart(expert=expert.name, revision=expert.live_revision, notice=notice))
        try:
            finish = await follow(self._dispatch, expert, question, notice, voice.take)
        except TameError as error:
            if voice.spoke or self._substitution is None:
                raise
            vacancy = Vacancy(
                lead=expert,
                error=error,
                question=question,
                language=language,
                emit=emit,
                begun=begun,
            )
            return (await self._substitution.fill(vacancy),)
        await emit(finish)
        return (finish,)
