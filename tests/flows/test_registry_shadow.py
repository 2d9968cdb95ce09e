"""A shadow answers copies of questions: nobody is given its answers, and nobody suffers from it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tame_router import app
from tame_router.catalog.expert import Canary
from tame_router.catalog.revision import Revision
from tame_router.client.adapter import Label, RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.errors import ConfigError, InvalidRequestError
from tame_router.registry.canary.witness import MOST_OF_ONE
from tests.fakes.vllm_script import Received, Refuse, Silence
from tests.registry_fixture import LEGAL, Site, answering, approved, label, states
from tests.router_fixture import happened, next_chat

pytestmark = pytest.mark.anyio

ALL = 0.999_999
"""As good as all conversations."""

MOST = 400


async def asked(client: AsyncClient, number: int) -> str:
    """Ask one question of a conversation of its own, and give the revision that answered."""
    answer = await client.chat(f"{LEGAL}（{number}）", expert="legal")
    (expert,) = answer.experts
    assert set(answer.content.split()) == {expert.revision}
    return expert.revision


def copies(site: Site, name: str) -> list[Received]:
    """Give the copies that a revision was asked."""
    chats = [chat for fake in site.fakes for chat in fake.chats]
    return [
        chat
        for chat in chats
        if chat.body["model"] == name and chat.headers["x-request-id"].endswith("-copy")
    ]


async def copied(site: Site, name: str, count: int) -> list[Received]:
    """Wait until so many copies have come, and give them."""
    async with asyncio.timeout(20):
        while len(found := copies(site, name)) < count:
            await next_chat(site.fakes[0])
    return found


async def ended(client: AsyncClient, site: Site) -> Label:
    """Ask until the router has done something about the shadow; the live one always answers."""
    for number in range(MOST):
        assert await asked(client, number) == site.own
        now = await label(client)
        if now.shadow_good or not now.shadow:
            return now
    raise AssertionError(f"nothing came of it in {MOST} questions")


@asynccontextmanager
async def shadowed(
    site: Site, announced: list[str] | None = None, **canary: Any
) -> AsyncIterator[tuple[AsyncClient, str]]:
    """Run a router with a shadow of all conversations, and give a client and the shadow's name."""
    settings = site.changed(canary={"shadow_at_once": 8, **canary})
    heard = [] if announced is None else announced
    async with site.running(settings, announce_http=heard.append) as client:
        name = await approved(client, site.adapter())
        published = await client.adapters.publish(name, shadow_share=ALL)
        assert (published.label.shadow, published.label.canary) == (name, "")
        yield client, name


async def counted(address: str, name: str) -> dict[str, float]:
    """Give the numbers of a metric, by their labels."""
    async with httpx.AsyncClient() as http:
        page = (await http.get(f"http://{address}/metrics")).text
    lines = [line for line in page.splitlines() if line.startswith(name)]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


async def test_copies_are_asked_and_none_is_returned(site: Site) -> None:
    """Each question comes to both; the live one alone answers, is counted, and can be named."""
    announced: list[str] = []
    async with shadowed(site, announced) as (client, name):
        for number in range(5):
            assert await asked(client, number) == site.own
            await copied(site, name, number + 1)
        first = copies(site, name)[0]
        live = [chat for chat in site.fakes[0].chats if chat.body["model"] == site.own]
        assert first.body["messages"] in [chat.body["messages"] for chat in live]
        assert "traceparent" not in first.headers
        assert await states(client, name) == [RevisionState.ACTIVE]
        answers = await counted(announced[0], "tame_tenant_answers_total{")
        assert sum(answers.values()) == 5
        async with httpx.AsyncClient(base_url=f"http://{announced[0]}/v1") as http:
            listed = {model["id"] for model in (await http.get("/models")).json()["data"]}
            wanted = f"legal@{name.rpartition('--')[2]}"
            assert wanted not in listed
            question = {"model": wanted, "messages": [{"role": "user", "content": LEGAL}]}
            refused = await http.post("/chat/completions", json=question)
            assert refused.status_code == 404


async def test_a_share_of_the_conversations_is_copied(site: Site) -> None:
    """A conversation is copied or it is not; of one no more than its first few answers are."""
    revision = Revision(expert="legal", digest="0" * 64)
    expert = app.build_catalog(site.settings).expert("legal")
    expert = replace(expert, canary=Canary(revision=revision, share=0.5, shadow=True))
    questions = [f"{LEGAL}（{number}）" for number in range(16)]
    drawn = {one for one in questions if expert.shadowed(f"local\0\0{one}")}
    assert 0 < len(drawn) < len(questions)
    async with shadowed(site, shadow_at_once=64) as (client, name):
        published = await client.adapters.publish(name, shadow_share=0.5)
        assert published.label.shadow_share == 0.5
        for _ in range(MOST_OF_ONE + 1):
            for number in range(len(questions)):
                await asked(client, number)
        found = await copied(site, name, MOST_OF_ONE * len(drawn))
        seen = Counter(chat.body["messages"][-1]["content"] for chat in found)
        assert seen == dict.fromkeys(drawn, MOST_OF_ONE)


async def test_one_that_fails_is_ended_by_itself(pool_site: Site) -> None:
    """Its failures reach nobody, eject no replica, and end it with their reason."""
    announced: list[str] = []
    async with shadowed(pool_site, announced) as (client, name):
        for fake in pool_site.fakes:
            fake.faults[name] = Refuse(status=500)
        now = await ended(client, pool_site)
        assert (now.shadow, now.live) == ("", pool_site.own)
        newest = (await client.adapters.history("legal")).changes[0]
        assert (newest.action, newest.tenant) == ("rollback", "")
        assert "answers clearly worse" in newest.because
        assert "more bad answers" in newest.because
        assert await states(client, name) == [RevisionState.RETIRED]
        moved = await counted(announced[0], "tame_failovers_total{")
        assert not any(moved.values())
        copied = await counted(announced[0], "tame_adapter_copies_total{")
        assert copied['tame_adapter_copies_total{outcome="failed"}'] >= 5


async def test_one_that_is_slow_holds_nobody_up(site: Site) -> None:
    """It has its places, what finds none is dropped, and at the router's end it is hung up on."""
    announced: list[str] = []
    async with shadowed(site, announced, shadow_at_once=2) as (client, name):
        site.fakes[0].faults[name] = Silence(events=1)
        for number in range(6):
            assert await asked(client, number) == site.own
        under_way = await copied(site, name, 2)
        assert len(under_way) == 2
        outcomes = await counted(announced[0], "tame_adapter_copies_total{")
        assert outcomes['tame_adapter_copies_total{outcome="dropped"}'] == 4
    for copy in under_way:
        assert await happened(copy.disconnected)


async def test_one_that_starves_is_not_ended(site: Site) -> None:
    """Copies whose time is over before their first token are dropped: they say nothing of it."""
    announced: list[str] = []
    async with shadowed(site, announced, shadow_at_once=64, shadow_timeout_s=0.2) as (client, name):
        site.fakes[0].faults[name] = Silence(events=0)
        for number in range(20):
            assert await asked(client, number) == site.own
        dropped = 0.0
        async with asyncio.timeout(20):
            while dropped < 20:
                outcomes = await counted(announced[0], "tame_adapter_copies_total{")
                dropped = outcomes.get('tame_adapter_copies_total{outcome="dropped"}', 0)
                assert not outcomes.get('tame_adapter_copies_total{outcome="failed"}')
        assert (await label(client)).shadow == name


async def test_one_that_writes_simplified_is_ended(site: Site) -> None:
    """The guard looks at copies as it does at answers."""
    async with shadowed(site) as (client, name):
        site.fakes[0].texts[name] = "这个问题应该由专门的机关来处理"
        assert (await ended(client, site)).shadow == ""
        newest = (await client.adapters.history("legal")).changes[0]
        assert newest.action == "rollback"


async def test_a_good_one_waits_for_somebody(site: Site) -> None:
    """It is told, is asked no more, is the same after a restart, and can be published."""
    async with shadowed(site) as (client, name):
        now = await ended(client, site)
        assert (now.shadow, now.shadow_good, now.live) == (name, True, site.own)
        newest = (await client.adapters.history("legal")).changes[0]
        assert (newest.action, newest.tenant) == ("prove", "")
        assert "not clearly worse" in newest.because
        async with client.adapters.watch(name, after_sequence=0, timeout_s=30) as changes:
            seen = [await anext(changes) for _ in range(6)]
        assert (seen[-1].before, seen[-1].state) == (RevisionState.ACTIVE, RevisionState.ACTIVE)
        assert seen[-1].because == newest.because
    async with site.running() as client:
        assert await label(client) == now
        before = len(copies(site, name))
        assert await asked(client, MOST) == site.own
        assert len(copies(site, name)) == before
        published = await client.adapters.publish(name)
        assert (published.label.live, published.label.shadow) == (name, "")
        assert await answering(client) == name


async def test_a_good_one_is_published_where_that_is_wanted(site: Site) -> None:
    """With `publish_good_shadows` the router lets it answer all."""
    async with shadowed(site, publish_good_shadows=True) as (client, name):
        number = 0
        while (now := await label(client)).live != name:
            assert now.shadow == name
            await client.chat(f"{LEGAL}（{number}）", expert="legal")
            number += 1
            assert number < MOST
        newest = (await client.adapters.history("legal")).changes[0]
        assert (newest.action, newest.tenant) == ("publish", "")


async def test_a_shadow_outlives_a_restart_and_can_be_ended(site: Site) -> None:
    """Another run goes on copying; a rollback ends it, and what is live stays."""
    async with shadowed(site) as (_, name):
        pass
    async with site.running() as client:
        assert (await label(client)).shadow == name
        assert await asked(client, 1) == site.own
        await copied(site, name, 1)
        back = await client.adapters.rollback("legal")
        assert (back.live, back.shadow) == (site.own, "")
        assert await states(client, name) == [RevisionState.RETIRED]


async def test_a_shadow_becomes_a_canary(site: Site) -> None:
    """Published to a share it answers; there is one of the two at a time."""
    async with shadowed(site) as (client, name):
        published = await client.adapters.publish(name, canary_share=ALL)
        assert (published.label.shadow, published.label.canary) == ("", name)
        assert await asked(client, 1) == name
        with pytest.raises(InvalidRequestError, match="both given"):
            await client.adapters.publish(name, canary_share=0.5, shadow_share=0.5)
        with pytest.raises(InvalidRequestError, match="shadow_share is 2"):
            await client.adapters.publish(name, shadow_share=2)


async def test_a_judge_ends_what_it_likes_less(site: Site) -> None:
    """It is asked in both orders, beside the answers, and its verdicts are the reason."""
    async with shadowed(site, judge="base") as (client, name):
        site.fakes[0].judge = lambda prompt: 1 + (prompt.index(name) < prompt.index(site.own))
        assert (await ended(client, site)).shadow == ""
        newest = (await client.adapters.history("legal")).changes[0]
        assert newest.action == "rollback"
        assert "a judge prefers the live one" in newest.because


async def test_a_judge_that_prefers_what_comes_first_says_nothing(site: Site) -> None:
    """Such verdicts are ties: the shadow is found good."""
    async with shadowed(site, judge="medical") as (client, _):
        site.fakes[0].judge = lambda _: 1
        assert (await ended(client, site)).shadow_good


async def test_a_judge_must_be_an_expert(site: Site) -> None:
    """Else the router does not start."""
    with pytest.raises(ConfigError, match=r"registry.canary.judge names 'nobody'"):
        async with site.running(site.changed(canary={"judge": "nobody"})):
            pass
