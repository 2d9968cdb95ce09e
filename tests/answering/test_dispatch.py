"""Opening one expert's stream."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

from tame_router.answering.dispatch import Dispatch
from tame_router.answering.question import Question
from tame_router.catalog.expert import Catalog
from tame_router.chat import (
    Document,
    Format,
    Message,
    ResponseFormat,
    Role,
    Sampling,
    Shape,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
)
from tame_router.errors import ContextTooLongError, DeadlineExceededError
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Silence
from tests.router_fixture import happened, next_chat

pytestmark = pytest.mark.anyio


def question(sampling: Sampling | None = None, deadline: float | None = None) -> Question:
    """Ask something."""
    return Question(
        deadline=deadline,
        answer_id="id-12345",
        messages=(Message(role=Role.USER, content="押金？"),),
        sampling=sampling or Sampling(),
    )


async def text(dispatch: Dispatch, catalog: Catalog, asked: Question) -> str:
    """Ask the legal expert, and give its answer."""
    async with dispatch.open(catalog.expert("legal"), asked) as pieces:
        return "".join([piece.text async for piece in pieces])


async def test_the_expert_is_asked_as_its_folder_says(
    dispatch: Dispatch, catalog: Catalog, fake_vllm: FakeVllm
) -> None:
    """Revision, prompt, sampling and id of the request are what catalog and caller say."""
    assert await text(dispatch, catalog, question())
    chat = fake_vllm.chats[0]
    assert chat.body["model"] == catalog.expert("legal").live_revision
    assert chat.body["messages"][0]["content"] == catalog.expert("legal").prompt
    assert chat.body["max_tokens"] == catalog.expert("legal").sampling.max_tokens
    assert chat.headers["x-request-id"] == "id-12345"


async def test_only_the_callers_own_limit_is_insisted_on(
    dispatch: Dispatch, catalog: Catalog, fake_vllm: FakeVllm
) -> None:
    """An expert's `max_tokens` gives way to the context; the caller's is refused instead."""
    fake_vllm.max_model_len = 40  # the expert's 64 tokens do not fit
    assert await text(dispatch, catalog, question())
    with pytest.raises(ContextTooLongError):
        await text(dispatch, catalog, question(Sampling(max_tokens=64)))


async def test_the_callers_deadline_goes_with_the_question(
    dispatch: Dispatch, catalog: Catalog, fake_vllm: FakeVllm
) -> None:
    """When it has passed the backend is left, without help of the edge."""
    fake_vllm.next(Silence())
    soon = asyncio.get_running_loop().time() + 0.2
    with pytest.raises(DeadlineExceededError):
        await text(dispatch, catalog, question(deadline=soon))
    assert await happened((await next_chat(fake_vllm)).disconnected)


async def test_shape_trace_and_documents_go_with_the_question(
    dispatch: Dispatch, catalog: Catalog, fake_vllm: FakeVllm
) -> None:
    """What the caller asks for beside plain text reaches the engine, and so does the trace."""
    asked = msgspec.structs.replace(
        question(),
        shape=Shape(tools=(Tool(name="weather"),), top_logprobs=1),
        trace={"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "tracestate": "x=\r\ny"},
        documents=(Document(text="押金為兩個月租金。", title="租約"),),
    )
    await text(dispatch, catalog, asked)
    (chat,) = fake_vllm.chats
    assert chat.headers["traceparent"] == asked.trace["traceparent"]
    assert chat.headers["tracestate"] == "x=??y"
    assert chat.body["tools"][0]["function"]["name"] == "weather"
    assert chat.body["top_logprobs"] == 1
    assert chat.body["messages"][0]["content"].endswith("[1] 租約\n> 押金為兩個月租金。")


async def test_tool_turns_reach_the_engine(
    dispatch: Dispatch, catalog: Catalog, fake_vllm: FakeVllm
) -> None:
    """What an expert wanted called, and what came of it, are part of the conversation."""
    call = ToolCall(id="c1", name="weather", arguments="{}")
    said = (
        Message(role=Role.ASSISTANT, content="", tool_calls=(call,)),
        Message(role=Role.TOOL, content="26 °C", tool_call_id="c1"),
    )
    asked = msgspec.structs.replace(question(), messages=(*question().messages, *said))
    assert await text(dispatch, catalog, asked)
    assert [m["role"] for m in fake_vllm.chats[0].body["messages"]] == [
        "system", "user", "assistant", "tool",
    ]  # fmt: skip
    assert fake_vllm.chats[0].body["messages"][3]["tool_call_id"] == "c1"


@pytest.mark.parametrize(
    ("shape", "kept"),
    [
        (Shape(response_format=ResponseFormat(format=Format.JSON_OBJECT)), False),
        (Shape(tools=(Tool(name="a"),), tool_choice=ToolChoice(mode=ToolMode.REQUIRED)), False),
        (Shape(response_format=ResponseFormat()), True),
        (Shape(tools=(Tool(name="a"),)), True),
    ],
)
async def test_an_experts_stop_strings_do_not_cut_json(
    dispatch: Dispatch, catalog: Catalog, fake_vllm: FakeVllm, shape: Shape, kept: bool
) -> None:
    """An answer that is held to a form ends by itself; the caller's own strings still count."""
    asked = msgspec.structs.replace(question(Sampling(stop=("mine",))), shape=shape)
    legal = catalog.expert("legal")
    legal = replace(legal, sampling=msgspec.structs.replace(legal.sampling, stop=("USER:",)))
    async with dispatch.open(legal, asked) as pieces:
        assert [piece async for piece in pieces]
    assert fake_vllm.chats[0].body["stop"] == (["USER:", "mine"] if kept else ["mine"])
