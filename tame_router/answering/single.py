"""The plainest join: the lead expert answers alone."""

import asyncio
from collections.abc import Sequence

from tame_router.answering.dispatch import Dispatch
from tame_router.answering.event import Delta, ExpertFinish, ExpertStart
from tame_router.answering.join import Emit
from tame_router.answering.question import Question
from tame_router.catalog.expert import Expert
from tame_router.chat import FinishReason, Usage


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
        clock = asyncio.get_running_loop().time
        begun = clock()
        first: float | None = None
        reasons = [FinishReason.STOP] * question.shape.choices
        usage = Usage()
        await emit(ExpertStart(expert=name, revision=revision, notice=notice))
        async with self._dispatch.open(expert, question) as pieces:
            async for piece in pieces:
                if piece.text or piece.tool_calls or piece.logprobs:
                    if first is None:
                        first = clock() - begun
                    await emit(
                        Delta(
                            expert=name,
                            revision=revision,
                            text=piece.text,
                            choice=piece.choice,
                            tool_calls=piece.tool_calls,
                            logprobs=piece.logprobs,
                        )
                    )
                if piece.finish_reason:
                    reasons[piece.choice] = piece.finish_reason
                usage = piece.usage or usage
        finish = ExpertFinish(
            expert=name,
            revision=revision,
            finish_reason=reasons[0],
            other_reasons=tuple(reasons[1:]),
            usage=usage,
            time_to_first_token_s=first,
            elapsed_s=clock() - begun,
            notice=notice,
        )
        await emit(finish)
        return (finish,)
