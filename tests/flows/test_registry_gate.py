"""The gate as a partner meets it: what it refuses, what it says of it, and asking again."""

import asyncio
import json

import pytest

from tame_router.client.adapter import RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.errors_registry import (
    InvalidTransitionError,
    RevisionRefusedError,
    StorageUnavailableError,
)
from tame_router.registry.records.record_store import RecordStore
from tame_router.store import Database
from tests.fakes.vllm_resolver import Hold
from tests.fakes.vllm_script import Refuse
from tests.registry_fixture import (
    Site,
    answering,
    approved,
    decided,
    label,
    name_of,
    states,
)
from tests.router_fixture import happened

pytestmark = pytest.mark.anyio

ID = "request-0001"


async def test_a_harmed_adapter_is_refused(registry_client: AsyncClient, site: Site) -> None:
    """It is told why, with the figures; it cannot be published, and nobody is answered by it."""
    folder = site.adapter()
    site.fakes[0].worse[name_of(folder)] = 0.5
    found = await decided(
        registry_client, (await registry_client.adapters.upload(folder, "legal")).name
    )
    assert found.state is RevisionState.REJECTED
    reasons = {finding.reason for finding in found.findings if finding.fatal}
    assert reasons == {"WORSE_THAN_LIVE", "HARMS_OTHER_DOMAIN"}
    assert all(finding.message and finding.advice for finding in found.findings)
    report = json.loads(found.report)
    assert report["passed"] is False
    verdicts = {one["expert"]: one["verdict"] for one in report["comparisons"]}
    assert verdicts["legal"] == "worse"
    with pytest.raises(RevisionRefusedError, match="rejected"):
        await registry_client.adapters.publish(found.name)
    with pytest.raises(InvalidTransitionError):
        await registry_client.adapters.retire(found.name)
    assert await states(registry_client, found.name) == [RevisionState.REJECTED]
    assert await answering(registry_client) == site.own
    assert (await label(registry_client)).generation == 0


async def test_an_equal_copy_passes(registry_client: AsyncClient, site: Site) -> None:
    """The same weights with another card are another revision, as good as the live one."""
    first = await approved(registry_client, site.adapter())
    await registry_client.adapters.publish(first)
    copy = site.adapter(1)
    weights = "adapter_model.safetensors"
    (copy / weights).write_bytes((site.adapter() / weights).read_bytes())
    site.teach(name_of(copy))
    name = await approved(registry_client, copy)
    report = json.loads((await registry_client.adapters.get(name)).report)
    assert (report["passed"], report["live"], report["candidate"]) == (True, first, name)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [("simplified", "SIMPLIFIED_CHINESE"), ("broken", "ENGINE_REFUSED")],
)
async def test_other_reasons(
    registry_client: AsyncClient, site: Site, spoil: str, reason: str
) -> None:
    """Simplified Chinese, and an engine that cannot load it, refuse it as such."""
    folder = site.adapter()
    fake, name = site.fakes[0], name_of(folder)
    if spoil == "simplified":
        fake.texts[name] = "这个问题应该询问医疗专业人员。"
    else:
        fake.resolver.broken.add(name)
    await registry_client.adapters.upload(folder, "legal")
    found = await decided(registry_client, name)
    assert found.state is RevisionState.REJECTED
    assert {finding.reason for finding in found.findings if finding.fatal} == {reason}


async def test_what_was_refused_may_be_asked_again(
    registry_client: AsyncClient, site: Site
) -> None:
    """Where the fault was elsewhere it passes then; the same call again asks nothing anew."""
    folder = site.adapter()
    fake, name = site.fakes[0], name_of(folder)
    fake.worse[name] = 0.5
    await registry_client.adapters.upload(folder, "legal")
    assert (await decided(registry_client, name)).state is RevisionState.REJECTED
    # The same bytes are the same revision, and no other judgement.
    again = await registry_client.adapters.upload(folder, "legal")
    assert (again.name, again.state) == (name, RevisionState.REJECTED)
    fake.worse.clear()
    async with registry_client.adapters.watch(name, timeout_s=30) as changes:
        assert (await anext(changes)).state is RevisionState.REJECTED
        for _ in range(2):
            await registry_client.adapters.evaluate(name, request_id=ID)
        found = [(await anext(changes)).state for _ in range(3)]
    life = [RevisionState.VALIDATING, RevisionState.EVALUATING, RevisionState.APPROVED]
    assert found == life
    assert (await registry_client.adapters.evaluate(name, request_id=ID)).state == life[-1]
    assert not (await registry_client.adapters.get(name)).findings
    assert (await registry_client.adapters.publish(name)).label.live == name


async def test_an_approved_one_is_asked_again(registry_client: AsyncClient, site: Site) -> None:
    """It may be worse than what answers by now: then it is refused, once for one call."""
    name = await approved(registry_client, site.adapter())
    site.fakes[0].worse[name] = 0.5
    async with registry_client.adapters.watch(name, timeout_s=30) as changes:
        assert (await anext(changes)).state is RevisionState.APPROVED
        evaluate = registry_client.adapters.evaluate
        assert (await evaluate(name, request_id=ID)).state is RevisionState.EVALUATING
        with pytest.raises(InvalidTransitionError):
            await registry_client.adapters.publish(name)
        assert (await anext(changes)).state is RevisionState.EVALUATING
        assert (await anext(changes)).state is RevisionState.REJECTED
        assert (await evaluate(name, request_id=ID)).state is RevisionState.REJECTED
    assert await states(registry_client, name) == [RevisionState.REJECTED]


async def test_what_answers_is_not_asked_again(registry_client: AsyncClient, site: Site) -> None:
    """A revision that is live stays so: it is no candidate."""
    name = await approved(registry_client, site.adapter())
    await registry_client.adapters.publish(name)
    with pytest.raises(InvalidTransitionError):
        await registry_client.adapters.evaluate(name)
    assert await states(registry_client, name) == [RevisionState.ACTIVE]


async def test_an_engine_that_is_away_is_waited_for(
    registry_client: AsyncClient, site: Site
) -> None:
    """That is no fault of the revision: it is judged when the engine is back."""
    fake = site.fakes[0]
    fake.kill()
    try:
        name = (await registry_client.adapters.upload(site.adapter(), "legal")).name
        async with registry_client.adapters.watch(name, timeout_s=30) as changes:
            while (await anext(changes)).state is not RevisionState.EVALUATING:
                pass
        await attempted(site, f"evaluate-{name}-validate-{name}")
    finally:
        fake.revive()
    assert (await decided(registry_client, name)).state is RevisionState.APPROVED


async def test_one_that_cannot_be_judged_now_holds_up_nobody(
    registry_client: AsyncClient, site: Site
) -> None:
    """While its evaluation is tried again and again, others are judged."""
    slow, quick = site.adapter(1), site.adapter(2)
    site.fakes[0].faults[name_of(slow)] = Refuse(status=503)
    await registry_client.adapters.upload(slow, "legal")
    await attempted(site, f"evaluate-{name_of(slow)}-validate-{name_of(slow)}", 2)
    assert await approved(registry_client, quick)
    assert await states(registry_client, name_of(slow)) == [RevisionState.EVALUATING]
    site.fakes[0].faults.clear()
    assert (await decided(registry_client, name_of(slow))).state is RevisionState.APPROVED


async def test_a_long_evaluation_holds_up_no_validation(
    registry_client: AsyncClient, site: Site
) -> None:
    """While one is evaluated, others are validated, and told what is wrong with them."""
    slow, other = site.adapter(1), site.adapter(2)
    hold = site.fakes[0].resolver.held[name_of(slow)] = Hold()
    try:
        await registry_client.adapters.upload(slow, "legal")
        assert await happened(hold.reached)
        await registry_client.adapters.upload(other, "legal")
        async with registry_client.adapters.watch(name_of(other), timeout_s=30) as changes:
            while (await anext(changes)).state is not RevisionState.EVALUATING:
                pass
        assert await states(registry_client, name_of(slow)) == [RevisionState.EVALUATING]
    finally:
        hold.go_on.set()
    assert (await decided(registry_client, name_of(other))).state is RevisionState.APPROVED


async def test_a_store_that_is_away_is_waited_for(registry_client: AsyncClient, site: Site) -> None:
    """Bytes that cannot be read now refuse nobody: they are read when they can be."""
    folder = site.adapter()
    name = name_of(folder)
    site.fakes[0].worse[name] = 0.5
    await registry_client.adapters.upload(folder, "legal")
    assert (await decided(registry_client, name)).state is RevisionState.REJECTED
    site.fakes[0].worse.clear()
    away = site.store.with_name("away")
    site.store.rename(away)
    site.store.write_bytes(b"")
    async with registry_client.adapters.watch(name, timeout_s=30) as changes:
        assert (await anext(changes)).state is RevisionState.REJECTED
        await registry_client.adapters.evaluate(name, request_id=ID)
        await attempted(site, f"again-{name}-local/{ID}")
        with pytest.raises(StorageUnavailableError):
            await registry_client.adapters.upload(site.adapter(1), "legal")
        site.store.unlink()
        away.rename(site.store)
        found = [(await anext(changes)).state for _ in range(3)]
    assert found[-1] is RevisionState.APPROVED


async def attempted(site: Site, job_id: str, times: int = 1) -> None:
    """Look until a job was begun so often, and given back."""
    database = Database(site.settings.store, site.settings.state_dir)
    try:
        store = RecordStore(database)
        async with asyncio.timeout(20):
            while True:
                job = await asyncio.to_thread(store.job, job_id)
                if job is not None and job.attempts >= times and not job.owner:
                    return
    finally:
        database.close()
