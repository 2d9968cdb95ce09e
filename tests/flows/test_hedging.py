"""Answers over three replicas, of which one is late with its first word."""

from typing import Any

import anyio
import anyio.to_thread
import pytest

from tame_router import app
from tame_router.chat import Tool
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Fault, Received, Silence
from tests.http_wire import connect, get, read_response
from tests.router_fixture import changed
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

Fakes = tuple[FakeVllm, ...]
LEGAL = QUESTIONS["legal"][0]
SOON = {"enabled": True, "after_s": 0.25, "quantile": 0}


def asking_twice(settings: Settings, **changes: Any) -> Settings:
    """Give settings of a router that asks a second replica soon."""
    return changed(settings, local={"hedge": SOON, **changes})


def once(replicas: Fakes, fault: Fault) -> None:
    """Let the next answer go wrong, on whichever replica writes it."""
    replicas[0].share_faults(replicas)
    replicas[0].next(fault)


def chats(replicas: Fakes) -> list[Received]:
    """Give all that the replicas were asked."""
    return [chat for fake in replicas for chat in fake.chats]


async def left(chat: Received) -> bool:
    """Wait until the router has left a replica before the end of its answer."""
    return await anyio.to_thread.run_sync(chat.disconnected.wait, 5)


async def hedges(address: str) -> dict[str, float]:
    """Give what `/metrics` counts of late first words, by what became of them."""
    async with await connect(address) as stream:
        await stream.send(get("/metrics"))
        _, _, body = await read_response(stream)
    lines = [line for line in body.decode().splitlines() if line.startswith("tame_hedges_total{")]
    return {line.split('outcome="')[1].split('"')[0]: float(line.split()[1]) for line in lines}


async def test_a_late_word_comes_from_another(pooled: Settings, replicas: Fakes) -> None:
    """The caller gets the same answer and usage, the loser stops, and metrics tell of it."""
    found: list[str] = []
    async with (
        app.running(asking_twice(pooled), announce_http=found.append) as address,
        AsyncClient(address, attempts=1) as client,
    ):
        uncut = await client.chat(LEGAL)
        once(replicas, Silence(events=1))
        again = await client.chat(LEGAL)
        assert (again.content, again.final.usage) == (uncut.content, uncut.final.usage)
        (loser,) = [chat for chat in chats(replicas) if not chat.ended.is_set()]
        assert await left(loser)
        assert await hedges(found[0]) == {"second": 1}
    assert len(chats(replicas)) == 3
    assert sum(fake.finished["abort"] for fake in replicas) == 1


async def test_a_call_is_asked_twice_too(pooled: Settings, replicas: Fakes) -> None:
    """Nothing of it is written before its first word: tools and forms are no reason against it."""
    tool = Tool(
        name="find_law", parameters='{"type":"object","properties":{"a":{"type":"string"}}}'
    )
    async with (
        app.running(asking_twice(pooled)) as address,
        AsyncClient(address, attempts=1) as client,
    ):
        await client.chat(LEGAL)
        once(replicas, Silence(events=1))
        question = "find_law: 勞工被資遣可以拿多少資遣費？"
        (call,) = (await client.chat(question, tools=(tool,))).tool_calls
        assert call.name == "find_law"
    assert len(chats(replicas)) == 3


async def test_a_caller_that_leaves_closes_both(pooled: Settings, replicas: Fakes) -> None:
    """A cancelled call reaches either replica."""
    async with (
        app.running(asking_twice(pooled)) as address,
        AsyncClient(address, attempts=1) as client,
    ):
        await client.chat(LEGAL)
        for fake in replicas:
            fake.always = Silence(events=1)
            fake.forget()
        async with anyio.create_task_group() as group:
            group.start_soon(client.chat, LEGAL)
            with anyio.fail_after(5):
                while len(chats(replicas)) < 2:  # noqa: ASYNC110 - other threads take note
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        assert all([await left(chat) for chat in chats(replicas)])


async def test_no_place_is_taken_from_callers(pooled: Settings, replicas: Fakes) -> None:
    """Where all places are taken nobody is asked twice, and the late one is waited for."""
    found: list[str] = []
    full = {"queue": {"limit": {"start": 1, "min": 1, "max": 1}}, "first_token_timeout_s": 1}
    async with (
        app.running(asking_twice(pooled, **full), announce_http=found.append) as address,
        AsyncClient(address, attempts=1) as client,
    ):
        await client.chat(LEGAL)
        once(replicas, Silence(events=1))
        assert (await client.chat(LEGAL)).content  # by the ordinary way: the first failed
        assert await hedges(found[0]) == {"no_room": 1}


async def test_off_unless_wanted(pooled: Settings, replicas: Fakes) -> None:
    """Without the setting a late word is waited for."""
    async with (
        app.running(changed(pooled, local={"first_token_timeout_s": 1})) as address,
        AsyncClient(address, attempts=1) as client,
    ):
        await client.chat(LEGAL)
        once(replicas, Silence(events=1))
        begun = anyio.current_time()
        assert (await client.chat(LEGAL)).content
        assert anyio.current_time() - begun > 0.9  # the whole of the backend's own limit
