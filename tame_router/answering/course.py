"""The course of one expert's answer, from asking to its end."""

import asyncio

from tame_router.answering.dispatch import Dispatch
from tame_router.answering.event import ExpertFinish
from tame_router.answering.question import Question
from tame_router.backends.backend import TAKEN, Divertible, Take
from tame_router.catalog.expert import Expert
from tame_router.chat import FinishReason, Usage


async def follow(
    dispatch: Dispatch,
    expert: Expert,
    question: Question,
    notice: str,
    take: Take,
) -> ExpertFinish:
    """Ask one expert, hand on what it writes, and tell how it ended.

    Args:
        dispatch: Opens its stream, which is closed when this ends, however it does.
        expert: Who is asked.
        question: What is asked.
        notice: Notice to show beside the answer.
        take: Takes each piece that says something. Once it has taken one at once, words go to it
            as they arrive.

    Raises:
        BackendError: When the expert did not finish its answer.
        InvalidRequestError: When its backend found the request at fault.
    """
    clock = asyncio.get_running_loop().time
    begun = clock()
    first: float | None = None
    reasons = [FinishReason.STOP] * question.shape.choices
    usage = Usage()
    diverted = False
    async with dispatch.open(expert, question) as pieces:
        async for piece in pieces:
            if piece.text or piece.tool_calls or piece.logprobs:
                if first is None:
                    first = clock() - begun
                if (taken := take(piece)) is not TAKEN:
                    await taken
                elif not diverted and isinstance(pieces, Divertible):
                    pieces.divert(take)
                    diverted = True
            if piece.finish_reason:
                reasons[piece.choice] = piece.finish_reason
            if piece.usage is not None:
                usage = piece.usage
    return ExpertFinish(
        expert=expert.name,
        revision=expert.live_revision,
        finish_reason=reasons[0],
        other_reasons=tuple(reasons[1:]),
        usage=usage,
        time_to_first_token_s=first,
        elapsed_s=clock() - begun,
        notice=notice,
    )
