"""A new domain by upload, over gRPC: from a folder to an expert that is routed to and answers."""

import asyncio
import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tame_router.client.adapter import RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tame_router.errors import ExpertNotFoundError, InvalidRequestError
from tame_router.errors_registry import RolloutError
from tests.domain_folder import EXPERT, GARDEN, LINES, PROMPT, QUESTIONS, ROSES, write_domain
from tests.flows.test_registry_rights import serving, tenant
from tests.registry_fixture import (
    Site,
    answering,
    approved,
    decided,
    label,
    name_of,
    seen,
    states,
)
from tests.router_fixture import changed
from tests.small_experts import LINES as OTHERS

# Each upload and each publication starts a process that learns.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


def domain(site: Site, seed: int = 90, **changes: object) -> Path:
    """Write the new domain's folder; the fakes know its revision's name."""
    folder = write_domain(site.folder / f"domain-{seed}", seed, **changes)  # type: ignore[arg-type]
    site.teach(name_of(folder, EXPERT))
    return folder


async def routed(client: AsyncClient, question: str = QUESTIONS[0]) -> str:
    """Ask a question without naming anybody, and give who answered: a revision, or an expert."""
    answer = await client.chat(question)
    (expert,) = answer.experts
    if expert.revision:
        assert set(answer.content.split()) == {expert.revision}
    return expert.revision or expert.expert


def elsewhere(site: Site) -> Settings:
    """Give settings of a router with a state folder of its own, before it has run.

    Database and store are the site's.
    """
    state_dir = site.folder / "other"
    shutil.copytree(site.settings.state_dir, state_dir)
    url = f"sqlite:///{site.settings.state_dir / 'tame.db'}"
    return changed(
        site.settings.model_copy(update={"state_dir": state_dir}),
        store={"url": url},
        registry={"url": str(site.store)},
    )


async def judged(client: AsyncClient, name: str, state: RevisionState) -> None:
    """Wait until a revision has come to a state."""
    async with client.adapters.watch(name, timeout_s=60) as changes:
        async for change in changes:
            if change.state is state:
                return


async def brought(client: AsyncClient, name: str) -> None:
    """Ask until a router answers by the new expert's revision."""
    async with asyncio.timeout(60):
        while await routed(client) != name:
            pass


async def test_from_folder_to_a_new_expert(site: Site) -> None:
    """Nothing changes before it is published; then its questions are its own, restarts included."""
    folder = domain(site)
    async with site.running() as client:
        before = await routed(client)
        name = await approved(client, folder, EXPERT)
        assert await routed(client) == before
        assert EXPERT not in {expert.name for expert in await client.experts()}
        report = json.loads((await client.adapters.get(name)).report)
        assert report["live"] == ""
        assert report["domain"]["lines"] == 24
        assert report["domain"]["asked"] == dict.fromkeys(OTHERS, 24)
        with pytest.raises(InvalidRequestError, match="makes the expert"):
            await client.adapters.publish(name, canary_share=0.5)
        made = await client.adapters.publish(name)
        assert (made.label.live, made.revision.state) == (name, RevisionState.ACTIVE)
        for question in QUESTIONS:
            assert await routed(client, question) == name
        assert await answering(client) == site.own
        (expert,) = [one for one in await client.experts() if one.name == EXPERT]
        assert expert.live_revision == name
        asked = site.fakes[0].chats[-2].body["messages"]
        assert PROMPT in asked[0]["content"]
    async with site.running(site.changed(refresh_s=3600)) as client:
        assert await routed(client) == name
        assert await answering(client) == site.own
        assert await states(client, name) == [RevisionState.ACTIVE]


async def test_it_is_an_expert_like_any_other(site: Site) -> None:
    """It has a next revision; going back from the first leaves the base model under its prompt."""
    folder = domain(site)
    async with site.running() as client:
        first = await approved(client, folder, EXPERT)
        await client.adapters.publish(first)
        second = await approved(client, site.adapter(91, EXPERT), EXPERT)
        await client.adapters.publish(second)
        assert await routed(client) == second
        assert (await client.adapters.rollback(EXPERT)).live == first
        assert await routed(client) == first
        assert (await client.adapters.rollback(EXPERT)).live == ""
        assert await routed(client) == EXPERT
        await client.adapters.publish(second)
        assert await routed(client) == second


async def test_two_at_once(site: Site) -> None:
    """Two experts that are published side by side are both there, whoever was first."""
    garden = write_domain(site.folder / "garden", 95, lines=GARDEN, expert="garden")
    site.teach(name_of(garden, "garden"))
    async with site.running() as client:
        boxes = await approved(client, domain(site), EXPERT)
        roses = await approved(client, garden, "garden")
        async with asyncio.TaskGroup() as group:
            for name in (boxes, roses):
                group.create_task(client.adapters.publish(name))
        assert await routed(client, ROSES) == roses
        assert await routed(client) == boxes
        assert await answering(client) == site.own


async def test_another_router_follows(site: Site) -> None:
    """Whether it runs already, or is started later with a state folder of its own."""
    folder, later = domain(site), elsewhere(site)
    async with site.running() as one, site.running() as two:
        name = await approved(one, folder, EXPERT)
        await one.adapters.publish(name)
        assert await routed(one) == name
        await brought(two, name)
        assert await label(two, EXPERT) == await label(one, EXPERT)
        async with site.running(later) as three:
            assert await routed(three) == name
    assert (later.state_dir / "experts" / EXPERT / "prompt.md").is_file()


async def test_a_router_that_cannot_follow_answers_what_it_can(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """It tries again, and has the expert as soon as it can; the others' labels count meanwhile."""
    folder, other = domain(site), elsewhere(site)
    blocked = other.state_dir / "experts"
    blocked.write_text("no folder", encoding="utf-8")
    async with site.running() as one, site.running(other) as two:
        name = await approved(one, folder, EXPERT)
        await one.adapters.publish(name)
        legal = await approved(one, site.adapter())
        await one.adapters.publish(legal)
        await seen(two, legal)
        assert EXPERT not in {expert.name for expert in await two.experts()}
        blocked.unlink()
        await brought(two, name)
    assert "domain.missing" in {record.getMessage() for record in caplog.records}


async def test_a_router_of_other_lines_publishes_nothing(site: Site, tmp_path: Path) -> None:
    """Lines that were changed beneath a router stop a publication before anything moves."""
    experts = tmp_path / "experts"
    shutil.copytree(site.settings.experts_dir, experts)
    shutil.copytree(site.settings.experts_dir.parent / "adapters", tmp_path / "adapters")
    own = site.settings.model_copy(update={"experts_dir": experts})
    async with site.running(own) as client:
        name = await approved(client, domain(site), EXPERT)
        taught = experts / "legal" / "utterances.en.txt"
        lines = taught.read_text(encoding="utf-8")
        taught.write_text(f"{lines}Is a verbal promise binding?\n", encoding="utf-8")
        with pytest.raises(RolloutError, match="tame router train"):
            await client.adapters.publish(name)
        assert await states(client, name) == [RevisionState.APPROVED]
        assert (await label(client, EXPERT)).generation == 0
        taught.write_text(lines, encoding="utf-8")
        await client.adapters.publish(name)
        assert await routed(client) == name


async def test_a_label_without_an_expert_is_passed_over(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator's expert whose folder is gone is not made anew from what was uploaded for it."""
    experts = tmp_path / "experts"
    shutil.copytree(site.settings.experts_dir, experts)
    shutil.copytree(site.settings.experts_dir.parent / "adapters", tmp_path / "adapters")
    own = site.settings.model_copy(update={"experts_dir": experts})
    folder = domain(site, expert="medical")
    name = name_of(folder, "medical")
    site.teach(name)
    async with site.running(own) as client:
        assert await approved(client, folder, "medical") == name
        await client.adapters.publish(name)
    shutil.rmtree(experts / "medical")
    async with site.running(own) as client:
        assert await answering(client) == site.own
        assert "medical" not in {expert.name for expert in await client.experts()}
        assert "domain.refused" in {record.getMessage() for record in caplog.records}
        second = await approved(client, site.adapter())
        await client.adapters.publish(second)
        assert await answering(client) == second


async def test_nobody_notices(site: Site) -> None:
    """Questions that are asked while the router learns are all answered, each by one revision."""
    folder = domain(site)
    stopping = asyncio.Event()
    answers: list[str] = []

    async def ask(client: AsyncClient) -> None:
        while not stopping.is_set():
            answers.append(await answering(client))
            answers.append(await routed(client))

    async with site.running() as client:
        name = await approved(client, folder, EXPERT)
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(ask(client))
            await client.adapters.publish(name)
            assert await routed(client) == name
            stopping.set()
        assert name in answers
        assert site.own in answers


async def test_a_domain_that_collides_is_refused_with_figures(site: Site) -> None:
    """The report tells with whom and how far; what is allowed for others is a note."""
    legal = {
        language: "\n".join(f"{line} 紙箱" for line in OTHERS["legal"][language].split("\n")[1:-1])
        for language in LINES
    }
    folder = domain(site, lines=legal)
    lenient = site.changed(gate=site.settings.registry.gate.model_dump() | {"domain_share": 1.0})
    for settings, state in (
        (site.settings, RevisionState.REJECTED),
        (lenient, RevisionState.APPROVED),
    ):
        async with site.running(settings) as client:
            revision = await client.adapters.upload(folder, EXPERT)
            if state is RevisionState.APPROVED:
                await client.adapters.evaluate(revision.name)
            await judged(client, revision.name, state)
            found = await client.adapters.get(revision.name)
        told = [finding for finding in found.findings if finding.reason == "DOMAIN_COLLISION"]
        (legally,) = [one for one in told if "of 24 teaching lines of 'legal'" in one.message]
        assert "24 of its own 24 lines almost stand there (100%, at most" in legally.message
        assert legally.fatal is (state is RevisionState.REJECTED)
        assert [one.fatal for one in told if one is not legally] == [False] * (len(told) - 1)
        assert json.loads(found.report)["domain"]["alike"] == {"legal": 24}


async def test_a_line_of_another_expert_is_refused(site: Site) -> None:
    """A line teaches one domain; the finding names both places, and no folder of this machine."""
    lines: Mapping[str, str] = {**LINES, "en": f"{LINES['en']}Tell me a joke about cats\n"}
    async with site.running() as client:
        revision = await client.adapters.upload(domain(site, lines=lines), EXPERT)
        found = await decided(client, revision.name)
        assert found.state is RevisionState.REJECTED
        (finding,) = [one for one in found.findings if one.fatal]
        assert finding.reason == "UTTERANCES_MALFORMED"
        assert "stands in general/utterances.en.txt:5" in finding.message
        assert str(site.folder) not in finding.message


async def test_a_grant_is_needed(site: Site) -> None:
    """A name that is no expert yet is like any other: whoever was not granted it has no say."""
    folder = domain(site)
    factory = dataclasses.replace(tenant("factory"), publish=frozenset({EXPERT}))
    async with serving(site, [factory, tenant("hospital"), tenant("operator")]) as clients:
        with pytest.raises(ExpertNotFoundError, match="may bring adapters for"):
            await clients["hospital"].adapters.upload(folder, EXPERT)
        name = await approved(clients["factory"], folder, EXPERT)
        await clients["factory"].adapters.publish(name)
        assert (await clients["operator"].adapters.get(name)).state is RevisionState.ACTIVE
        answer = await clients["hospital"].chat(QUESTIONS[1])
        assert answer.experts[0].revision == name
