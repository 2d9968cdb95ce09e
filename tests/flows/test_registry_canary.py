"""A canary that is worse is taken back by the router itself, and that is told."""

import contextlib
from typing import Any

import pytest
from openai import AsyncOpenAI

from tame_router.chat import Message, Role
from tame_router.client.adapter import Finding, RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.errors import TameError
from tame_router.errors_registry import LabelMovedError
from tame_router.registry.record import ROUTER
from tame_router.registry.records.access import Records
from tame_router.registry.rollout.label_mover import LabelMover
from tame_router.registry.rollout.restoration import Restorer, Rollback
from tests.fakes.vllm_script import Refuse
from tests.registry_fixture import LEGAL, Site, answering, approved, label, states

pytestmark = pytest.mark.anyio

MOST = 400
"""Half of them are the canary's: a clearly worse one is caught within 200 of its answers."""


async def test_one_that_fails_is_taken_back(registry_client: AsyncClient, site: Site) -> None:
    """The label goes back by itself, history says why, and everybody is answered again."""
    name = await approved(registry_client, site.adapter())
    await registry_client.adapters.publish(name, canary_share=0.5)
    site.fakes[0].faults[name] = Refuse(status=500)
    asked = 0
    async with registry_client.adapters.watch(name, timeout_s=60) as changes:
        assert (await anext(changes)).state is RevisionState.ACTIVE
        while asked < MOST and (await label(registry_client)).canary:
            for _ in range(10):
                asked += 1
                # Only the canary's answers fail.
                with contextlib.suppress(TameError):
                    await registry_client.chat(f"{LEGAL}（{asked}）", expert="legal")
        last = await anext(changes)
    assert (last.state, last.tenant) == (RevisionState.RETIRED, "")
    history = await registry_client.adapters.history("legal")
    newest = history.changes[0]
    assert (newest.action, newest.tenant, newest.label.live) == ("rollback", "", site.own)
    assert "clearly worse" in newest.because
    assert await answering(registry_client) == site.own
    assert await states(registry_client, name) == [RevisionState.RETIRED]


async def test_one_that_is_as_good_answers_all(registry_client: AsyncClient, site: Site) -> None:
    """Once it is known not to be clearly worse it is live by itself, and history says why."""
    name = await approved(registry_client, site.adapter())
    await registry_client.adapters.publish(name, canary_share=0.5)
    asked = 0
    while asked < 3 * MOST and (await label(registry_client)).canary:
        for _ in range(20):
            asked += 1
            await registry_client.chat(f"{LEGAL}（{asked}）", expert="legal")
    history = await registry_client.adapters.history("legal")
    newest = history.changes[0]
    assert (newest.action, newest.tenant, newest.label.live) == ("publish", "", name)
    assert "not clearly worse" in newest.because
    assert await states(registry_client, name) == [RevisionState.ACTIVE]


async def test_a_good_one_that_cannot_be_published_says_so(
    registry_client: AsyncClient, site: Site
) -> None:
    """With the revision and to whoever watches: why, and what to do; until it is published."""
    name = await approved(registry_client, site.adapter())
    await registry_client.adapters.publish(name, canary_share=0.5)
    manifest = site.store / "revisions" / name / "manifest.json"
    kept = manifest.read_bytes()
    manifest.unlink()
    found: tuple[Finding, ...] = ()
    asked = 0
    async with registry_client.adapters.watch(name, timeout_s=120) as changes:
        assert (await anext(changes)).state is RevisionState.ACTIVE
        while asked < 3 * MOST and not found:
            for _ in range(20):
                asked += 1
                await registry_client.chat(f"{LEGAL}（{asked}）", expert="legal")
            found = (await registry_client.adapters.get(name)).findings
        told = await anext(changes)
    (note,) = found
    assert (note.reason, note.fatal) == ("NOT_PUBLISHED", False)
    assert "is not what was uploaded" in note.message
    assert "tame adapter publish" in note.advice
    assert (told.state, told.because) == (RevisionState.ACTIVE, f"{note.message}; {note.advice}")
    assert (await label(registry_client)).canary == name
    manifest.write_bytes(kept)
    published = await registry_client.adapters.publish(name)
    assert "NOT_PUBLISHED" not in {one.reason for one in published.revision.findings}


async def test_a_conversation_stays_with_its_revision(
    registry_client: AsyncClient, site: Site
) -> None:
    """Later turns are answered by whichever of the two has answered the first."""
    name = await approved(registry_client, site.adapter())
    await registry_client.adapters.publish(name, canary_share=0.5)
    seen = set()
    for number in range(12):
        turns: list[Message] = [Message(role=Role.USER, content=f"{LEGAL}（{number}）")]
        revisions = set()
        for _ in range(3):
            answer = await registry_client.chat(turns, expert="legal")
            revisions.add(answer.experts[0].revision)
            turns += [Message(role=Role.ASSISTANT, content=answer.content)]
            turns += [Message(role=Role.USER, content="那罰則呢？")]
        assert len(revisions) == 1
        seen |= revisions
    assert seen == {site.own, name}


async def test_who_insists_on_a_revision_decides_nothing(site: Site) -> None:
    """Answers that name their revision, over either port, say nothing of what a lot would give."""
    found: list[str] = []
    async with site.running(announce_http=found.append) as client:
        name = await approved(client, site.adapter())
        await client.adapters.publish(name, canary_share=0.01)
        async with AsyncOpenAI(base_url=f"http://{found[0]}/v1", api_key="none") as openai:
            for revision in [site.own, name] * 110:
                model = f"legal@{revision.rpartition('--')[2]}"
                answer = await openai.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": LEGAL}]
                )
                assert answer.model == model
        assert (await label(client)).canary == name


async def test_a_verdict_that_comes_late_moves_nothing(
    registry_client: AsyncClient, site: Site
) -> None:
    """A canary that somebody has published meanwhile is not taken back as one."""
    name = await approved(registry_client, site.adapter())
    await registry_client.adapters.publish(name, canary_share=0.5)
    await registry_client.adapters.publish(name)
    before = await label(registry_client)
    records = Records(site.settings.store, site.settings.state_dir)
    none: Any = None  # of the mover only its lock is asked for
    mover = LabelMover(records, none, none, none, none, prepare_timeout_s=1, quorum=1)
    restorer = Restorer(records, mover, none, none)
    try:
        with pytest.raises(LabelMovedError, match="no canary"):
            await restorer.rollback(Rollback(expert="legal", canary=name), ROUTER)
    finally:
        await records.close()
    assert await label(registry_client) == before


async def displeased(client: AsyncClient, name: str, number: int) -> None:
    """Ask as one of many users of a key, and rate the answer bad where it is the canary's."""
    answer = await client.chat(f"{LEGAL}（{number}）", expert="legal", user=f"u{number}")
    rating = "bad" if answer.experts[0].revision == name else "good"
    await client.feedback(answer.answer_id, "legal", rating=rating)


async def test_bad_ratings_take_one_back(site: Site) -> None:
    """Many users rate its answers bad, and the live one's good: that is the reason it ends."""
    async with site.running(site.changed(canary={"ratings_per_key": 1000})) as client:
        name = await approved(client, site.adapter())
        await client.adapters.publish(name, canary_share=0.5)
        asked = 0
        while (await label(client)).canary:
            asked += 1
            assert asked < MOST // 2
            await displeased(client, name, asked)
        newest = (await client.adapters.history("legal")).changes[0]
    assert (newest.action, newest.tenant) == ("rollback", "")
    assert "bad ratings beside 0: more bad ratings" in newest.because


async def test_one_key_s_ratings_end_nothing(registry_client: AsyncClient, site: Site) -> None:
    """However many users it names: whoever may chat could invent them."""
    name = await approved(registry_client, site.adapter())
    await registry_client.adapters.publish(name, canary_share=0.5)
    for number in range(60):
        await displeased(registry_client, name, number)
    assert (await label(registry_client)).canary == name


async def test_one_person_s_ratings_end_nothing(registry_client: AsyncClient, site: Site) -> None:
    """However often it is displeased, and says so of one answer again and again."""
    name = await approved(registry_client, site.adapter())
    await registry_client.adapters.publish(name, canary_share=0.5)
    for number in range(40):
        answer = await registry_client.chat(f"{LEGAL}（{number}）", expert="legal", user="wang")
        if answer.experts[0].revision == name:
            for _ in range(2):
                await registry_client.feedback(answer.answer_id, "legal", rating="bad")
    assert (await label(registry_client)).canary == name


async def test_who_should_have_answered_is_no_fault_of_a_revision(
    registry_client: AsyncClient, site: Site
) -> None:
    """Bad ratings that name another expert, or another's answers, are not counted."""
    name = await approved(registry_client, site.adapter())
    await registry_client.adapters.publish(name, canary_share=0.5)
    for number in range(30):
        answer = await registry_client.chat(
            f"{LEGAL}（{number}）", expert="legal", user=f"u{number}"
        )
        await registry_client.feedback(answer.answer_id, "medical", rating="bad")
        await registry_client.feedback(f"unknown-{number}", "legal", rating="bad")
    assert (await label(registry_client)).canary == name
