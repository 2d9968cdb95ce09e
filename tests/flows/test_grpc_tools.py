"""Tools, formats, several answers and probabilities over gRPC, the expert's part scripted."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio.to_thread
import pytest

from tame_router.admission.desk import Desk
from tame_router.answering.event import Delta, ExpertFinish, ExpertStart
from tame_router.answering.join import Emit
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.question import Question
from tame_router.api.router_servicer import RouterServicer
from tame_router.catalog.expert import Catalog, Expert
from tame_router.catalog.live import LiveCatalog
from tame_router.chat import (
    Document,
    FinishReason,
    Format,
    Message,
    ResponseFormat,
    Role,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from tame_router.client import event as outside
from tame_router.client.async_client import AsyncClient
from tame_router.client.client import Client
from tame_router.config import Settings
from tame_router.errors import BackendProtocolError
from tame_router.trained_router import build_router
from tests.scripted_service import serving
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

LEGAL = QUESTIONS["legal"][0]
WEATHER = Tool(name="weather", parameters='{"type": "object"}')
LOGPROBS = b'[{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]'
REASONS = (FinishReason.LENGTH, FinishReason.STOP)


class ScriptedJoin:
    """Emits the deltas it was given, and keeps the questions."""

    def __init__(self, *deltas: Delta, reasons: Sequence[FinishReason] = ()) -> None:
        self.questions: list[Question] = []
        self._deltas = deltas
        self._reasons = reasons or (FinishReason.STOP,)

    async def run(
        self, experts: Sequence[Expert], question: Question, language: str, emit: Emit
    ) -> Sequence[ExpertFinish]:
        """Answer by the script."""
        self.questions.append(question)
        await emit(ExpertStart(expert="legal", revision="", notice=""))
        for delta in self._deltas:
            await emit(delta)
        finish = ExpertFinish(
            expert="legal",
            revision="",
            finish_reason=self._reasons[0],
            usage=Usage(prompt_tokens=3, completion_tokens=4),
            time_to_first_token_s=None,
            elapsed_s=0.1,
            notice="",
            other_reasons=tuple(self._reasons[1:]),
        )
        await emit(finish)
        return (finish,)


def delta(
    text: str = "",
    choice: int = 0,
    calls: tuple[ToolCallDelta, ...] = (),
    logprobs: bytes = b"",
) -> Delta:
    """Give a piece of the legal expert."""
    return Delta(
        expert="legal", revision="", text=text, choice=choice, tool_calls=calls, logprobs=logprobs
    )


@asynccontextmanager
async def asked(
    settings: Settings, catalog: Catalog, join: ScriptedJoin
) -> AsyncIterator[AsyncClient]:
    """Serve the whole router but its backend, and give a client."""
    pipeline = Pipeline(LiveCatalog(catalog), build_router(settings, catalog), join)
    servicer = RouterServicer(Desk(LiveCatalog(catalog), pipeline), settings.limits)
    async with serving(servicer) as address, AsyncClient(address, attempts=1) as client:
        yield client


CALLS = (
    delta("看一下。", calls=(ToolCallDelta(index=0, id="call-1", name="weather"),)),
    delta(calls=(ToolCallDelta(index=1, id="call-2", name="weather", arguments="{}"),)),
    delta(calls=(ToolCallDelta(index=0, arguments='{"city":'),)),
    delta(calls=(ToolCallDelta(index=0, arguments='"台北"}'),)),
)


async def test_calls_come_in_pieces_and_whole(settings: Settings, catalog: Catalog) -> None:
    """A stream gives the pieces as they are, `Chat` puts them together."""
    join = ScriptedJoin(*CALLS, reasons=[FinishReason.TOOL_CALLS])
    async with asked(settings, catalog, join) as client:
        async with client.stream(LEGAL, tools=[WEATHER]) as events:
            pieces = [e.tool_calls async for e in events if isinstance(e, outside.Delta)]
        answer = await client.chat(LEGAL, tools=[WEATHER])
    assert pieces == [piece.tool_calls for piece in CALLS]
    assert answer.content == "看一下。"
    assert answer.final.finish_reason is FinishReason.TOOL_CALLS
    assert answer.tool_calls == (
        ToolCall(id="call-1", name="weather", arguments='{"city":"台北"}'),
        ToolCall(id="call-2", name="weather", arguments="{}"),
    )
    assert [question.shape.tools for question in join.questions] == [(WEATHER,)] * 2


async def test_several_answers_are_kept_apart(settings: Settings, catalog: Catalog) -> None:
    """Each answer has its text, its calls and its end; one that said nothing is there too."""
    join = ScriptedJoin(
        delta("a"), delta("x", 1), delta("b"), delta("y", 1), reasons=[*REASONS, *REASONS]
    )
    async with asked(settings, catalog, join) as client:
        answer = await client.chat(LEGAL, choices=4)
        async with client.stream(LEGAL, choices=4) as events:
            seen = [event async for event in events]
    assert [(c.content, c.finish_reason) for c in answer.choices] == [
        ("ab", FinishReason.LENGTH),
        ("xy", FinishReason.STOP),
        ("", FinishReason.LENGTH),
        ("", FinishReason.STOP),
    ]
    assert [e.choice for e in seen if isinstance(e, outside.Delta)] == [0, 1, 0, 1]
    (finish,) = [e for e in seen if isinstance(e, outside.ExpertFinish)]
    assert finish.other_reasons == (FinishReason.STOP, *REASONS)
    assert join.questions[0].shape.choices == 4


async def test_probabilities_belong_to_their_answer(settings: Settings, catalog: Catalog) -> None:
    """Those of a whole answer are all of its pieces', in order."""
    join = ScriptedJoin(
        delta("a", logprobs=LOGPROBS),
        delta("a", 1, logprobs=LOGPROBS),
        delta("a", logprobs=LOGPROBS),
    )
    async with asked(settings, catalog, join) as client:
        answer = await client.chat(LEGAL, top_logprobs=0, choices=2)
    first, second = answer.choices
    assert [token.logprob for token in first.logprobs] == [-0.5, -0.5]
    assert [token.raw for token in second.logprobs] == [b"a"]


async def test_probabilities_that_are_none_end_the_answer(
    settings: Settings, catalog: Catalog
) -> None:
    """What the backend sent wrongly is told as its fault."""
    join = ScriptedJoin(delta("a", logprobs=b"{}"))
    async with asked(settings, catalog, join) as client:
        with pytest.raises(BackendProtocolError):
            await client.chat(LEGAL, top_logprobs=0)
        async with client.stream(LEGAL, top_logprobs=0) as events:
            with pytest.raises(BackendProtocolError):
                async for _ in events:
                    pass


async def test_everything_asked_for_reaches_the_expert(
    settings: Settings, catalog: Catalog
) -> None:
    """A conversation with a tool's result at its end, documents, a format and a person's name."""
    join = ScriptedJoin(delta("晴。"))
    document = Document(text="第一條", title="契約", source="contract.pdf")
    form = ResponseFormat(format=Format.JSON_SCHEMA, name="reply", schema="{}", strict=True)
    call = ToolCall(id="call-1", name="weather", arguments="{}")
    messages = [
        Message(role=Role.USER, content=LEGAL),
        Message(role=Role.ASSISTANT, content="", tool_calls=(call,)),
        Message(role=Role.TOOL, content="晴", tool_call_id="call-1"),
    ]
    async with asked(settings, catalog, join) as client:
        answer = await client.chat(
            messages, documents=[document], response_format=form, user="wang"
        )
    (question,) = join.questions
    assert answer.decision.expert == "legal"
    assert question.messages == tuple(messages)
    assert question.documents == (document,)
    assert question.shape.response_format == form
    assert question.user == "wang"


async def test_the_client_without_an_event_loop_gives_the_same(
    settings: Settings, catalog: Catalog
) -> None:
    """Calls and answers are the same from either client."""
    join = ScriptedJoin(*CALLS, delta("x", 1), reasons=REASONS)
    pipeline = Pipeline(LiveCatalog(catalog), build_router(settings, catalog), join)
    servicer = RouterServicer(Desk(LiveCatalog(catalog), pipeline), settings.limits)

    def use(address: str) -> outside.Answer:
        with Client(address, attempts=1) as client:
            return client.chat(LEGAL, tools=[WEATHER], choices=2)

    async with serving(servicer) as address:
        answer = await anyio.to_thread.run_sync(use, address)
        async with AsyncClient(address, attempts=1) as client:
            other = await client.chat(LEGAL, tools=[WEATHER], choices=2)
    assert answer.choices == other.choices
    assert answer.tool_calls[0].arguments == '{"city":"台北"}'
