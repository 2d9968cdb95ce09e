"""A shadow answers copies of questions: nobody is given its answers, and nobody suffers from it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tame_router.client.adapter import RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.errors import InvalidRequestError
from tests.fakes.vllm_script import Received, Refuse, Silence
from tests.registry_fixture import LEGAL, Site, approved, label, states
from tests.router_fixture import happened

pytestmark = pytest.mark.anyio

ALL = 0.999_999
"""As good as all conversations."""

MOST = 400


async def asked(client: AsyncClient, number: int, **options: Any) -> str:
    """Ask one question of a conversation of its own, and give the revision that answered."""
    answer = await client.chat(f"{LEGAL}（{number}）", expert="legal", **options)
    (expert,) = answer.experts
    assert set(answer.content.split()) == {expert.revision}
    return expert.revision


def copies(site: Site, name: str) -> list[Received]:
    """Give the questions that a revision was asked for callers: a gate's have names of their own."""
    chats = [chat for fake in site.fakes for chat in fake.chats]
    return [
        chat
        for chat in chats
        if chat.body["model"] == name and chat.headers["x-request-id"].endswith("-copy")
    ]


async def copied(site: Site, name: str, count: int) -> None:
    """Wait until so many copies have come."""
    async with asyncio.timeout(20):
        while len(copies(site, name)) < count:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def shadowed(site: Site, **canary: Any) -> AsyncIterator[tuple[AsyncClient, str]]:
    """Run a router with a shadow of all conversations, and give a client and its name."""
    settings = site.changed(canary={"shadow_at_once": 8, **canary})
    async with site.running(settings) as client:
        name = await approved(client, site.adapter())
        published = await client.adapters.publish(name, shadow_share=ALL)
        assert (published.label.shadow, published.label.canary) == (name, "")
        yield client, name


async def test_copies_are_asked_and_none_is_returned(site: Site) -> None:
    """Each question comes to both; the live revision alone answers, also whoever names the other."""
    async with shadowed(site) as (client, name):
        for number in range(5):
            assert await asked(client, number) == site.own
            await copied(site, name, number + 1)
        (first, *_) = copies(site, name)
        live = [chat for chat in site.fakes[0].chats if chat.body["model"] == site.own]
        assert first.body["messages"] in [chat.body["messages"] for chat in live]
        assert "traceparent" not in first.headers
        assert await states(client, name) == [RevisionState.ACTIVE]
        models = (await client.adapters.history("legal")).label
        assert (models.shadow, models.shadow_good, models.live) == (name, False, site.own)
