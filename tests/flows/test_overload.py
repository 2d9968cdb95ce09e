"""More work than a backend can do: who is told to come back, who waits, and what joins do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tame_router import app
from tame_router.client.async_client import AsyncClient
from tame_router.client.joined import Note
from tame_router.config import Settings
from tame_router.errors import BackendOverloadedError
from tests.fakes.vllm import FakeVllm
from tests.flows.test_answer import ask
from tests.joined_fixture import BOTH, JOINS, LEGAL, all_closed
from tests.joined_order import check_order, words
from tests.rich_error import rich
from tests.router_fixture import changed, happened, next_chat

pytestmark = pytest.mark.anyio

ONE_PLACE = {"start": 1, "min": 1, "max": 1}


@asynccontextmanager
async def served(
    settings: Settings,
    http: list[str] | None = None,
    *,
    joins: dict[str, Any] | None = None,
    **queue: Any,
) -> AsyncIterator[AsyncClient]:
    """Give a client of a router whose backend writes one answer at once."""
    queue = {"limit": ONE_PLACE, **queue}
    settings = changed(settings, local={"queue": queue}, joins=joins or {})
    found = [] if http is None else http
    async with (
        app.running(settings, announce_http=found.append) as address,
        AsyncClient(address, attempts=1) as client,
    ):
        yield client


async def test_a_grpc_caller_is_told_when_to_come_back(
    settings: Settings, fake_vllm: FakeVllm
) -> None:
    """Beyond the queue it is RESOURCE_EXHAUSTED, with a time to wait; nothing was sent on."""
    fake_vllm.frozen = True
    async with served(settings, length=0) as client, asyncio.TaskGroup() as group:
        first = group.create_task(client.chat(LEGAL))
        await next_chat(fake_vllm)
        with pytest.raises(BackendOverloadedError, match="try again in 1 s") as caught:
            await client.chat(LEGAL)
        fake_vllm.frozen = False
    assert first.result().content
    assert caught.value.metadata["queue"] == "length"
    error = rich(caught.value.__cause__)  # type: ignore[arg-type]
    assert (error.code, error.info.reason) == ("RESOURCE_EXHAUSTED", "BACKEND_OVERLOADED")
    assert error.retry_s == 1
    assert len(fake_vllm.chats) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_an_http_caller_is_told_when_to_come_back(
    settings: Settings, fake_vllm: FakeVllm, stream: bool
) -> None:
    """Beyond the queue it is 429 with `Retry-After`, in a stream as well."""
    fake_vllm.frozen = True
    http: list[str] = []
    async with (
        served(settings, http, length=0) as client,
        AsyncOpenAI(api_key="none", base_url=f"http://{http[0]}/v1", max_retries=0) as sdk,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(client.chat(LEGAL))
        await next_chat(fake_vllm)
        with pytest.raises(openai.RateLimitError) as caught:
            await sdk.chat.completions.create(
                model="legal", messages=[{"role": "user", "content": LEGAL}], stream=stream
            )
        fake_vllm.frozen = False
    assert caught.value.code == "BACKEND_OVERLOADED"
    assert caught.value.response.headers["retry-after"] == "1"


async def test_who_waits_is_answered(settings: Settings, fake_vllm: FakeVllm) -> None:
    """Within the queue everybody is answered, one after the other."""
    fake_vllm.slots.most = 1
    async with served(settings, wait_s=60) as client, asyncio.TaskGroup() as group:
        answers = [group.create_task(client.chat(LEGAL)) for _ in range(8)]
    assert all(answer.result().content for answer in answers)
    assert len(fake_vllm.chats) == 8


async def test_who_hangs_up_in_the_queue_is_not_asked_for(
    settings: Settings, fake_vllm: FakeVllm
) -> None:
    """A caller that leaves while it waits takes nobody's place."""
    fake_vllm.frozen = True
    async with served(settings, length=1) as client, asyncio.TaskGroup() as group:
        group.create_task(client.chat(LEGAL))
        await next_chat(fake_vllm)
        async with client.stream(LEGAL) as events:
            await anext(events)  # the decision: it waits now, and fills the queue
        last = None
        while last is None:  # until the router has noticed
            try:
                async with client.stream(LEGAL) as events:
                    await anext(events)
                    await anext(events)
                    fake_vllm.frozen = False
                    last = [event async for event in events]
            except BackendOverloadedError:
                await asyncio.sleep(0)
    assert last
    assert len(fake_vllm.chats) == 2


@pytest.mark.parametrize("join", JOINS)
async def test_joins_need_no_two_places(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """Six joins at once before one place: all are answered, one step after the other."""
    async with served(settings, length=64, wait_s=60) as client, asyncio.TaskGroup() as group:
        answers = [group.create_task(ask(client, LEGAL, join=join, **BOTH)) for _ in range(6)]
    for answer in answers:
        check_order(answer.result())
        assert words(answer.result())
        notes = [event for event in answer.result() if isinstance(event, Note)]
        assert all(note.reason == "NOT_WAITED_FOR" for note in notes)
    await all_closed(fake_vllm)


async def test_a_step_waits_no_longer_than_a_join_does(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str]
) -> None:
    """Experts that get no place in `joins.first_token_timeout_s` are left out, or it is over."""
    fake_vllm.frozen = True
    joins = {"first_token_timeout_s": 0.3}
    async with served(settings, joins=joins) as client, asyncio.TaskGroup() as group:
        group.create_task(client.chat(LEGAL))
        received = await next_chat(fake_vllm)
        with pytest.raises(BackendOverloadedError) as caught:
            await ask(client, LEGAL, join="fuse", **BOTH)
        fake_vllm.frozen = False
        assert await happened(received.ended)
    assert caught.value.metadata["expert.medical"] == "BACKEND_OVERLOADED"
    assert len(fake_vllm.chats) == 1


async def test_off_means_off(settings: Settings, fake_vllm: FakeVllm) -> None:
    """Without the queue the backend is given whatever is asked."""
    fake_vllm.frozen = True
    async with served(settings, enabled=False) as client, asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(client.chat(LEGAL))
        for _ in range(3):
            await next_chat(fake_vllm)
        fake_vllm.frozen = False
