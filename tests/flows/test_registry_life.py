"""An adapter's whole life over gRPC: from folder to answers, replaced, and brought back."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from openai import AsyncOpenAI

from tame_router import app
from tame_router.catalog.expert import Canary
from tame_router.catalog.revision import Revision as Bytes
from tame_router.client.adapter import RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import DecisionMade, Delta
from tame_router.errors import RevisionNotFoundError
from tests.fakes.vllm_script import Pace
from tests.registry_fixture import (
    LEGAL,
    TIMES,
    Site,
    answering,
    approved,
    label,
    name_of,
    states,
)

pytestmark = pytest.mark.anyio

CLIENTS = 8
SHARE = 0.25
ANSWERS = 300


@dataclass
class Load:
    """Clients that stream without pause, and what they saw.

    Attributes:
        admitting: What may answer one that is admitted now.
        epochs: All that `admitting` has been, in order.
        answers: Answers that ended.
        wrong: What was said of those that are not as they must be.
        stopping: Set when the clients are to end.
    """

    admitting: frozenset[str]
    epochs: list[frozenset[str]] = field(default_factory=list)
    answers: int = 0
    wrong: list[str] = field(default_factory=list)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Begin with the first epoch."""
        self.admit(self.admitting)

    def admit(self, names: Iterable[str]) -> None:
        """Say what may answer from now on."""
        self.admitting = frozenset(names)
        self.epochs.append(self.admitting)

    @asynccontextmanager
    async def moving(self, to: str) -> AsyncIterator[None]:
        """Move from what answers to another: in between either may, and afterwards only that."""
        self.admit((*self.admitting, to))
        yield
        self.admit((to,))

    def check(self, begun: int, admitted: int, words: dict[str, str]) -> None:
        """Hold one answer against what was live when it was admitted.

        Args:
            begun: Epoch in which it was asked for.
            admitted: Epoch in which its first event came.
            words: Its text by the revision that each piece said it was of.
        """
        live = frozenset().union(*self.epochs[begun : admitted + 1])
        whole = {name: f"{name} " * TIMES for name in words}
        if len(words) != 1 or words != whole or not live.issuperset(words):
            self.wrong.append(f"{words} where {sorted(live)} could answer")
        self.answers += 1
        self.news.set()

    async def more(self, count: int) -> None:
        """Wait for so many further answers."""
        wanted = self.answers + count
        while self.answers < wanted:
            self.news.clear()
            await self.news.wait()

    async def over_grpc(self, client: AsyncClient) -> None:
        """Ask over gRPC again and again."""
        while not self.stopping.is_set():
            begun, admitted = len(self.epochs) - 1, 0
            words: dict[str, str] = {}
            async with client.stream(LEGAL, expert="legal") as events:
                async for event in events:
                    if isinstance(event, DecisionMade):
                        admitted = len(self.epochs) - 1
                    if isinstance(event, Delta):
                        words[event.revision] = words.get(event.revision, "") + event.text
            self.check(begun, admitted, words)

    async def over_http(self, sdk: AsyncOpenAI) -> None:
        """Ask over HTTP again and again."""
        while not self.stopping.is_set():
            begun, admitted = len(self.epochs) - 1, -1
            words: dict[str, str] = {}
            stream = await sdk.chat.completions.create(
                model="legal", messages=[{"role": "user", "content": LEGAL}], stream=True
            )
            async for chunk in stream:
                if admitted < 0:
                    admitted = len(self.epochs) - 1
                for choice in chunk.choices:
                    if choice.delta.content:
                        name = chunk.model.replace("@", "--")
                        words[name] = words.get(name, "") + choice.delta.content
            self.check(begun, admitted, words)


async def test_from_folder_to_answers(registry_client: AsyncClient, site: Site) -> None:
    """An adapter that is uploaded is judged, published, and answers from then on."""
    assert await answering(registry_client) == site.own
    name = await approved(registry_client, site.adapter())
    assert name == name_of(site.adapter())
    assert await answering(registry_client) == site.own
    made = await registry_client.adapters.publish(name)
    assert (made.label.live, made.revision.state) == (name, RevisionState.ACTIVE)
    assert await answering(registry_client) == name
    (expert,) = [one for one in await registry_client.experts() if one.name == "legal"]
    assert expert.live_revision == name


async def test_nobody_notices_a_publication_or_a_rollback(site: Site) -> None:
    """Eight clients stream on: none fails, and each answer is of what was live when it began."""
    await _replace_under_load(site)


async def test_nobody_notices_with_three_replicas(pool_site: Site) -> None:
    """The same where three servers answer."""
    await _replace_under_load(pool_site)


async def test_a_canary_answers_its_share(registry_client: AsyncClient, site: Site) -> None:
    """Which revision answers follows from the session, and over many it comes to the share."""
    name = await approved(registry_client, site.adapter())
    made = await registry_client.adapters.publish(name, canary_share=SHARE)
    assert (made.label.live, made.label.canary) == (site.own, name)
    assert made.label.canary_share == SHARE
    expert = app.build_catalog(site.settings).expert("legal")
    made_of = Bytes(expert="legal", digest=made.revision.digest)
    expert = replace(expert, canary=Canary(revision=made_of, share=SHARE))
    found = 0

    async def ask(client: int) -> None:
        nonlocal found
        for number in range(ANSWERS // CLIENTS + 1):
            opening = f"{LEGAL}（{client}-{number}）"
            answer = await registry_client.chat(opening, expert="legal")
            (one,) = answer.experts
            assert one.revision == expert.drawn(f"local\0\0{opening}").live_revision
            assert set(answer.content.split()) == {one.revision}
            found += one.revision == name

    async with asyncio.TaskGroup() as group:
        for client in range(CLIENTS):
            group.create_task(ask(client))
    asked = (ANSWERS // CLIENTS + 1) * CLIENTS
    # Six standard deviations: it fails once in 10^9 runs.
    assert abs(found / asked - SHARE) < 6 * (SHARE * (1 - SHARE) / asked) ** 0.5
    ended = await registry_client.adapters.rollback("legal")
    assert (ended.live, ended.canary) == (site.own, "")
    assert await states(registry_client, name) == [RevisionState.RETIRED]


async def test_a_revision_that_is_insisted_on_answers(
    registry_client: AsyncClient, site: Site
) -> None:
    """Either side of a canary answers whoever names it; what answers nobody is not found."""
    name = await approved(registry_client, site.adapter())
    with pytest.raises(RevisionNotFoundError):
        await registry_client.chat(LEGAL, expert="legal", revision=name)
    await registry_client.adapters.publish(name, canary_share=SHARE)
    for wanted in (name, site.own) * 8:
        assert await answering(registry_client, revision=wanted) == wanted
    made = await registry_client.adapters.publish(name)
    assert (made.label.live, made.label.canary) == (name, "")
    assert await answering(registry_client, revision=name) == name
    with pytest.raises(RevisionNotFoundError):
        await registry_client.chat(LEGAL, expert="legal", revision=site.own)


async def test_a_restart_serves_what_was_published(site: Site) -> None:
    """The first question after a start is answered by the label's revision, without waiting."""
    async with site.running() as client:
        first = await approved(client, site.adapter(1))
        second = await approved(client, site.adapter(2))
        await client.adapters.publish(first)
        await client.adapters.publish(second, canary_share=0.5)
    # Nothing that runs beside the answers comes into it: it looks once an hour.
    async with site.running(site.changed(refresh_s=3600)) as client:
        assert await answering(client, revision=first) == first
        assert await answering(client, revision=second) == second
        assert (await label(client)).generation == 2
        assert await states(client, first, second) == [RevisionState.ACTIVE] * 2


async def _replace_under_load(site: Site) -> None:
    for fake in site.fakes:
        fake.pace = Pace(token_s=0.001, tokens_per_event=4)
    http: list[str] = []
    async with (
        app.running(site.settings, announce_http=http.append) as address,
        AsyncClient(address, attempts=1) as client,
        AsyncOpenAI(base_url=f"http://{http[0]}/v1", api_key="any", max_retries=0) as sdk,
    ):
        first = await approved(client, site.adapter(1))
        second = await approved(client, site.adapter(2))
        load = Load(admitting=frozenset((site.own,)))
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS // 2):
                group.create_task(load.over_grpc(client))
                group.create_task(load.over_http(sdk))
            await load.more(CLIENTS)
            for _ in range(3):
                for name in (first, second):
                    async with load.moving(name):
                        await client.adapters.publish(name)
                    await load.more(CLIENTS)
                async with load.moving(first):
                    assert (await client.adapters.rollback("legal")).live == first
                await load.more(CLIENTS)
            load.stopping.set()
        assert load.wrong == []
        assert load.answers >= 10 * CLIENTS
        assert await states(client, first, second) == [RevisionState.ACTIVE, RevisionState.RETIRED]
        # Of three rounds of three, two publish what answers already.
        assert (await label(client)).generation == 7
