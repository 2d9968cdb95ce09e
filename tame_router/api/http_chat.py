"""`POST /v1/chat/completions`: answer at once, or while the answer is being written."""

import asyncio
import time
from collections.abc import Awaitable
from datetime import UTC, datetime

from tame_router.admission.call import Call
from tame_router.admission.desk import Desk
from tame_router.answering.event import (
    DecisionMade,
    Delta,
    DraftDelta,
    Event,
    ExpertFinish,
    Final,
)
from tame_router.answering.question import Question
from tame_router.api.http_call import HttpCall
from tame_router.api.openai_completion import Completion
from tame_router.api.openai_decision import decision_headers
from tame_router.api.openai_joined import JoinedFacts
from tame_router.api.openai_request import ChatRequest, read_chat
from tame_router.api.openai_stream import ChunkWriter
from tame_router.api.unread import ended_when_unread
from tame_router.backends.backend import TAKEN
from tame_router.config import LimitSettings
from tame_router.tenancy.tenant import Scope


class ChatEndpoint:
    """Answers chat completions.

    Args:
        desk: Answers callers within what they may use.
        limits: What a request may hold.
    """

    def __init__(self, desk: Desk, limits: LimitSettings) -> None:
        self._desk = desk
        self._limits = limits

    async def __call__(self, call: HttpCall) -> None:
        """Answer one.

        Raises:
            TameError: When it may not be, or cannot be, answered.
        """
        begin_time = datetime.now(UTC)
        caller = await call.caller()
        # Before the body is read: who may not ask need not send it.
        caller.principal.require(Scope.CHAT)
        deadline = call.deadline()
        request = read_chat(await call.body.read_json(), self._limits)
        question = Question(
            answer_id=call.answer_id,
            request_id=call.request_id,
            messages=request.messages,
            constraints=request.constraints,
            sampling=request.sampling,
            deadline=deadline,
            documents=request.documents,
            shape=request.shape,
            user=request.user,
        )
        asked = Call(
            caller=caller,
            question=question,
            edge="http",
            operation="stream_chat" if request.stream else "chat",
            begin_time=begin_time,
            model=request.model,
        )
        if (task := asyncio.current_task()) is not None:
            call.when_gone(task.cancel)
        if request.stream:
            streamed = StreamedAnswer(call, request)
            with ended_when_unread(streamed.emit, self._limits.unread_s) as emit:
                await self._desk.answer(asked, emit)
            return
        completion = Completion(choices=request.shape.choices, created=int(time.time()))
        await self._desk.answer(asked, completion.emit)
        call.when_gone(None)
        await call.respond(200, completion.body(), headers=completion.headers)


class StreamedAnswer:
    """Sends one answer while it is being written.

    The status waits for the first sign that the backend took the question, so that its refusal
    is a status too; what waits then leaves together with the first words.

    Args:
        call: The request under way.
        request: What was asked.
    """

    __slots__ = ("_call", "_finish", "_joined", "_made", "_request", "_writer")

    def __init__(self, call: HttpCall, request: ChatRequest) -> None:
        self._call = call
        self._request = request
        self._made: DecisionMade | None = None
        self._finish: ExpertFinish | None = None
        self._writer: ChunkWriter | None = None
        self._joined = JoinedFacts()

    def emit(self, event: Event) -> Awaitable[None]:
        """Send an event, or keep what is sent later."""
        if not isinstance(event, Delta):
            self._joined.see(event)
            return self._take(event)
        if self._joined.several:
            return self._write_part(event)
        if self._writer is None:
            return self._write_first(event)
        return self._call.write(self._writer.delta(event))

    def _take(self, event: Event) -> Awaitable[None]:
        """Keep what is sent later, or send what is between the words."""
        match event:
            case DecisionMade():
                self._made = event
            case ExpertFinish():
                self._finish = self._finish or event
            case DraftDelta():
                return self._write_part(event)
            case Final():
                return self._end(event)
        return TAKEN

    async def _write_first(self, event: Delta) -> None:
        """Send the first words, behind the status."""
        begin = await self._begin(event.revision)
        await self._call.write(begin + self._chunks.delta(event))

    async def _write_part(self, event: Delta | DraftDelta) -> None:
        """Send what one of several experts wrote."""
        begin = await self._begin(event.revision) if self._writer is None else b""
        if isinstance(event, DraftDelta):
            await self._call.write(begin + self._chunks.draft(event))
        else:
            await self._call.write(begin + self._chunks.part(event))

    @property
    def _chunks(self) -> ChunkWriter:
        if self._writer is None:
            raise RuntimeError("the stream has not begun")
        return self._writer

    async def _begin(self, revision: str) -> bytes:
        """Send the status, and give the first chunks."""
        if self._made is None:
            raise RuntimeError("an expert wrote before a decision was made")
        self._writer = ChunkWriter(
            self._made,
            self._joined.revision(revision),
            self._joined.start.notice if self._joined.start else "",
            created=int(time.time()),
            include_usage=self._request.include_usage,
            joined=self._joined,
        )
        await self._call.begin_stream(decision_headers(self._made, self._joined.start))
        return self._writer.begin(self._request.shape.choices)

    async def _end(self, final: Final) -> None:
        begin = b""
        if self._writer is None:
            begin = await self._begin(self._finish.revision if self._finish else "")
        end = self._chunks.end(final, self._finish, self._request.shape.choices)
        # All is said: a caller that leaves now has everything, and what is booked is booked.
        self._call.when_gone(None)
        await self._call.end_stream(begin + end)
