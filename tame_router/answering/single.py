"""The plainest join: the lead expert answers alone, without a task or a queue of its own."""

from collections.abc import Awaitable, Sequence

from tame_router.answering.course import follow
from tame_router.answering.dispatch import Dispatch
from tame_router.answering.event import Delta, ExpertFinish, ExpertStart
from tame_router.answering.join import Emit
from tame_router.answering.question import Question
from tame_router.backends.backend import Piece
from tame_router.catalog.expert import Expert


class SingleJoin:
    """Streams the lead expert's words as they arrive.

    Args:
        dispatch: Opens experts' streams.
    """

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    async def run(
        self, experts: Sequence[Expert], question: Question, language: str, emit: Emit
    ) -> Sequence[ExpertFinish]:
        """Ask the first expert and pass its words on.

        Raises:
            BackendError: When the expert did not finish its answer.
        """
        expert = experts[0]
        name, revision, notice = expert.name, expert.live_revision, expert.notice(language)

        def take(piece: Piece) -> Awaitable[None]:
            return emit(
                Delta(
                    expert=name,
                    revision=revision,
                    text=piece.text,
                    choice=piece.choice,
                    tool_calls=piece.tool_calls,
                    logprobs=piece.logprobs,
                )
            )

        await emit(ExpertStart(expert=name, revision=revision, notice=notice))
        finish = await follow(self._dispatch, expert, question, notice, take)
        await emit(finish)
        return (finish,)
