"""Opening one expert's stream."""

import asyncio

import pytest

from tame_router.answering.dispatch import Dispatch
from tame_router.answering.question import Question
from tame_router.catalog.expert import Catalog
from tame_router.chat import Message, Role, Sampling
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
