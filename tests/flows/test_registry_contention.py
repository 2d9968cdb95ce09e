"""Several who move one label at once, and calls that are sent again: one order, told to all."""

import asyncio

import pytest

from tame_router.client.adapter import Published, RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.errors import InvalidRequestError, RevisionNotFoundError, TameError
from tame_router.errors_registry import (
    InvalidTransitionError,
    LabelMovedError,
    NothingToRestoreError,
    RolloutError,
)
from tests.fakes.vllm_resolver import Hold
from tests.fakes.vllm_script import Refuse
from tests.registry_fixture import Site, answering, approved, forget, label, states
from tests.router_fixture import happened

pytestmark = pytest.mark.anyio

ID = "request-0001"
OTHER = "request-0002"


@pytest.fixture
async def two(registry_client: AsyncClient, site: Site) -> tuple[str, str]:
    """Give two revisions that may be published."""
    first = await approved(registry_client, site.adapter(1))
    return first, await approved(registry_client, site.adapter(2))


async def moves(client: AsyncClient) -> list[tuple[str, str]]:
    """Give what moved the label and to what, the oldest first."""
    history = await client.adapters.history("legal")
    return [(change.action, change.label.live) for change in reversed(history.changes)]


async def test_two_publishers_come_one_after_another(
    registry_client: AsyncClient, two: tuple[str, str]
) -> None:
    """Both publish; the last one answers, and history tells in which order."""
    async with asyncio.TaskGroup() as group:
        for name in two:
            group.create_task(registry_client.adapters.publish(name))
    live = (await label(registry_client)).live
    (before,) = set(two) - {live}
    assert await moves(registry_client) == [("publish", before), ("publish", live)]
    assert await answering(registry_client) == live
    assert await states(registry_client, live, before) == [
        RevisionState.ACTIVE,
        RevisionState.RETIRED,
    ]


async def test_one_of_two_that_saw_the_same_label_is_told(
    registry_client: AsyncClient, two: tuple[str, str]
) -> None:
    """Of two that expect the label as it stands one publishes, the other changes nothing."""
    ends: list[Published | TameError] = []

    async def publish(name: str) -> None:
        try:
            ends.append(await registry_client.adapters.publish(name, expected_generation=0))
        except TameError as error:
            ends.append(error)

    async with asyncio.TaskGroup() as group:
        for name in two:
            group.create_task(publish(name))
    (won,) = [end for end in ends if isinstance(end, Published)]
    (lost,) = [end for end in ends if isinstance(end, TameError)]
    assert isinstance(lost, LabelMovedError)
    assert lost.metadata["generation"] == "1"
    (other,) = set(two) - {won.label.live}
    assert await moves(registry_client) == [("publish", won.label.live)]
    assert await states(registry_client, other) == [RevisionState.APPROVED]
    made = await registry_client.adapters.publish(other, expected_generation=1)
    assert made.label.live == other


async def test_the_same_revision_twice_at_once(
    registry_client: AsyncClient, two: tuple[str, str]
) -> None:
    """It is published once, and both are told so."""
    made: list[Published] = []

    async def publish() -> None:
        made.append(await registry_client.adapters.publish(two[0]))

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(publish())
    assert {one.label.generation for one in made} == {1}
    assert await moves(registry_client) == [("publish", two[0])]


async def test_a_rollback_while_another_is_published(
    registry_client: AsyncClient, site: Site, two: tuple[str, str]
) -> None:
    """It waits for no replica: the label goes back at once, and the publication has lost."""
    first, second = two
    await registry_client.adapters.publish(first)
    forget(site, second)
    hold = site.fakes[0].resolver.held[second] = Hold()
    lost: list[TameError] = []

    async def publish() -> None:
        try:
            await registry_client.adapters.publish(second)
        except TameError as error:
            lost.append(error)

    async with asyncio.TaskGroup() as group:
        group.create_task(publish())
        assert await happened(hold.reached)
        assert await answering(registry_client) == first
        assert await states(registry_client, second) == [RevisionState.PUBLISHING]
        with pytest.raises(InvalidTransitionError):
            await registry_client.adapters.retire(second)
        assert (await registry_client.adapters.rollback("legal")).live == site.own
        assert await answering(registry_client) == site.own
        hold.go_on.set()
    assert [type(error) for error in lost] == [LabelMovedError]
    assert (await label(registry_client)).live == site.own
    assert await moves(registry_client) == [("publish", first), ("rollback", site.own)]
    assert await states(registry_client, first, second) == [
        RevisionState.RETIRED,
        RevisionState.APPROVED,
    ]


async def test_a_publication_that_is_sent_again(
    registry_client: AsyncClient, two: tuple[str, str]
) -> None:
    """It is made once: what was decided since stands; and its name is no other call's."""
    first, second = two
    publish = registry_client.adapters.publish
    made = await publish(first, request_id=ID)
    assert (await publish(first, request_id=ID)).label == made.label
    assert (await registry_client.adapters.rollback("legal")).generation == 2
    assert (await publish(first, request_id=ID)).label.generation == 1
    assert (await label(registry_client)).generation == 2
    for name, share in ((second, None), (first, 0.5)):
        with pytest.raises(InvalidRequestError, match="named another call"):
            await publish(name, canary_share=share, request_id=ID)
    assert (await publish(first, request_id=OTHER)).label.generation == 3


async def test_a_rollback_that_is_sent_again(
    registry_client: AsyncClient, site: Site, two: tuple[str, str]
) -> None:
    """It goes back one step, not two, at once or later; and its name is no other call's."""
    first, second = two
    await registry_client.adapters.publish(first)
    await registry_client.adapters.publish(second)
    rollback = registry_client.adapters.rollback
    async with asyncio.TaskGroup() as group:
        ends = [group.create_task(rollback("legal", request_id=ID)) for _ in range(4)]
    assert {end.result().live for end in ends} == {first}
    assert (await label(registry_client)).generation == 3
    await registry_client.adapters.publish(second)
    assert (await rollback("legal", request_id=ID)).generation == 3
    assert (await label(registry_client)).live == second
    with pytest.raises(InvalidRequestError, match="named another call"):
        await rollback("legal", site.own, request_id=ID)
    assert (await rollback("legal", site.own, request_id=OTHER)).live == site.own


async def test_a_call_that_failed_may_be_sent_again(
    registry_client: AsyncClient, site: Site, two: tuple[str, str]
) -> None:
    """What was refused was not made: the same call is made when it can be."""
    first, second = two
    fake = site.fakes[0]
    fake.faults[first] = Refuse(status=500)
    with pytest.raises(RolloutError):
        await registry_client.adapters.publish(first, request_id=ID)
    # Somebody else moves the label meanwhile: that does not make it done.
    await registry_client.adapters.publish(second)
    fake.faults.clear()
    assert (await registry_client.adapters.publish(first, request_id=ID)).label.live == first


async def test_what_was_live_is_gone_back_to_whatever_failed_since(
    registry_client: AsyncClient, site: Site, two: tuple[str, str]
) -> None:
    """A publication that fails takes from nobody the way back to what has answered."""
    first, second = two
    await registry_client.adapters.publish(first)
    await registry_client.adapters.publish(second)
    site.fakes[0].faults[first] = Refuse(status=500)
    with pytest.raises(RolloutError):
        await registry_client.adapters.publish(first)
    site.fakes[0].faults.clear()
    assert (await registry_client.adapters.rollback("legal", first)).live == first
    assert await answering(registry_client) == first


async def test_what_was_live_is_gone_back_to_while_it_is_judged_again(
    registry_client: AsyncClient, site: Site, two: tuple[str, str]
) -> None:
    """An evaluation that goes on keeps nobody from going back, and its verdict comes too late."""
    first, second = two
    await registry_client.adapters.publish(first)
    await registry_client.adapters.publish(second)
    fake = site.fakes[0]
    fake.faults[first] = Refuse(status=500)
    with pytest.raises(RolloutError):
        await registry_client.adapters.publish(first)
    assert await states(registry_client, first) == [RevisionState.RETIRED]
    fake.faults.clear()
    fake.worse[first] = 0.5
    forget(site, second)
    hold = fake.resolver.held[second] = Hold()
    try:
        await registry_client.adapters.evaluate(first)
        assert await happened(hold.reached)
        assert await states(registry_client, first) == [RevisionState.EVALUATING]
        assert (await registry_client.adapters.rollback("legal", first)).live == first
        assert await answering(registry_client) == first
    finally:
        hold.go_on.set()
    async with asyncio.timeout(20):
        while not (found := await registry_client.adapters.get(first)).findings:
            pass
    assert "WORSE_THAN_LIVE" in {finding.reason for finding in found.findings}
    assert found.state is RevisionState.ACTIVE
    assert await answering(registry_client) == first


async def test_what_came_with_the_folder_is_no_unknown_revision(
    registry_client: AsyncClient, site: Site, two: tuple[str, str]
) -> None:
    """Whoever names it is told that it is live, or how it is gone back to; others learn nothing."""
    adapters = registry_client.adapters
    for call in (adapters.publish, adapters.get, adapters.retire):
        with pytest.raises(RevisionNotFoundError, match=r"came with the folder.*it is live now"):
            await call(site.own)
    await adapters.publish(two[0])
    with pytest.raises(RevisionNotFoundError, match=f"rollback legal --revision {site.own}"):
        await adapters.publish(site.own)
    with pytest.raises(RevisionNotFoundError, match="there is no revision"):
        await adapters.publish("legal--0000000000000000")
    await adapters.rollback("legal", site.own)
    with pytest.raises(RevisionNotFoundError, match="it is live now"):
        await adapters.publish(site.own)


async def test_a_small_share_is_kept_exactly(
    registry_client: AsyncClient, two: tuple[str, str]
) -> None:
    """History says what was published, and a share that says nothing is refused by name."""
    publish = registry_client.adapters.publish
    with pytest.raises(InvalidRequestError, match="canary_share"):
        await publish(two[0], canary_share=1e-320)
    with pytest.raises(InvalidRequestError, match="shadow_share"):
        await publish(two[0], shadow_share=0.0009)
    for share, percent in ((0.001, "0.1%"), (0.0041, "0.41%"), (0.29, "29%")):
        await publish(two[0], canary_share=share)
        change, *_ = (await registry_client.adapters.history("legal")).changes
        assert change.because == f"published to {percent} of the conversations"
        assert change.label.canary_share == share


async def test_where_there_is_no_way_back(
    registry_client: AsyncClient, site: Site, two: tuple[str, str]
) -> None:
    """To what never answered, to another expert's, and from the beginning nobody goes back."""
    first, second = two
    rollback = registry_client.adapters.rollback
    with pytest.raises(NothingToRestoreError):
        await rollback("legal")
    await registry_client.adapters.publish(first)
    for name in ("legal--0000000000000000", "medical--0123456789abcdef"):
        with pytest.raises(RevisionNotFoundError):
            await rollback("legal", name)
    with pytest.raises((RevisionNotFoundError, NothingToRestoreError)):
        await rollback("legal", second)
    with pytest.raises(RevisionNotFoundError):
        await rollback("medical", first)
    assert (await label(registry_client)).generation == 1
    assert (await rollback("legal")).live == site.own
    with pytest.raises(NothingToRestoreError):
        await rollback("legal")
