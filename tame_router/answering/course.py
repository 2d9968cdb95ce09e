"""The course of one expert's answer, from asking to its end, and whether there were words."""

import asyncio
from collections.abc import Awaitable

from tame_router.answering.dispatch import Dispatch
from tame_router.answering.event import Delta, DraftDelta, Event, ExpertFinish
from tame_router.answering.join import Emit
from tame_router.answering.question import Question
from tame_router.backends.backend import TAKEN, Piece, Take, divertible
from tame_router.catalog.expert import Expert
from tame_router.chat import FinishReason, Usage

_WORDS = (Delta, DraftDelta)


class Voice:
    """Sends the words of one who answers alone, as they come.

    Args:
        expert: Who answers.
        emit: Where events go.

    Attributes:
        spoke: Something of the answer has been given out.
    """

    __slots__ = ("_emit", "_expert", "_revision", "spoke")

    def __init__(self, expert: Expert, emit: Emit) -> None:
        self._expert, self._revision = expert.name, expert.live_revision
        self._emit = emit
        self.spoke = False

    def take(self, piece: Piece) -> Awaitable[None]:
        """Send a piece."""
        self.spoke = True
        return self._emit(
            Delta(
                expert=self._expert,
                revision=self._revision,
                text=piece.text,
                choice=piece.choice,
                tool_calls=piece.tool_calls,
                logprobs=piece.logprobs,
            )
        )


class Spoken:
    """Passes the events of an answer of several on, and remembers whether it has words.

    Args:
        emit: Where events go.

    Attributes:
        anything: Words have been given out, those of drafts included.
    """

    __slots__ = ("_emit", "anything")

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.anything = False

    async def emit(self, event: Event) -> None:
        """Pass an event on."""
        self.anything = self.anything or isinstance(event, _WORDS)
        await self._emit(event)


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
                elif not diverted and divertible(pieces):
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
