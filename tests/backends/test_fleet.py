"""Making servers ready for a revision, and keeping them so."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

import anyio
import pytest

from tame_router.backends.fleet import Fleet
from tame_router.backends.replicas.breaker import BreakerRules
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.backends.replicas.pool_spec import PoolSpec
from tame_router.backends.vllm.backend import VllmSpec
from tame_router.errors_registry import RolloutError
from tests.fakes import vllm_wire as wire
from tests.fakes.generations import generation
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_resolver import Hold
from tests.fakes.vllm_script import Fault, HangUp, Raw, Refuse, Silence, Truncate

pytestmark = pytest.mark.anyio

Fakes = tuple[FakeVllm, ...]
NEW: Final = "legal--00000000000000aa"
OTHER: Final = "medical--00000000000000bb"
NO_WORDS: Final = Raw(
    body=b"".join(wire.answer_events(NEW, ("", ""), finish_reason="length", usage=False))
)


@pytest.fixture
def servers(replicas: Fakes) -> Fakes:
    """Give three fakes that load revisions by name."""
    for fake in replicas:
        fake.resolver.active = True
    return replicas


@pytest.fixture
async def pool(servers: Fakes) -> AsyncIterator[ReplicaPool]:
    """Give a pool of them that looks after them only when told to."""
    spec = VllmSpec(base_model=BASE_MODEL)
    pool = ReplicaPool(
        PoolSpec(
            name="local",
            replicas=tuple(replace(spec, base_url=fake.base_url) for fake in servers),
            rules=BreakerRules(failures=1, cool_down_s=60),
            prepare_timeout_s=60,
        )
    )
    yield pool
    await pool.close()


@pytest.fixture
def fleet(pool: ReplicaPool) -> Fleet:
    """Give the fleet of that one backend."""
    return Fleet({"local": pool})


def soon(seconds: float = 60) -> float:
    """Give a deadline."""
    return asyncio.get_running_loop().time() + seconds


def states(pool: ReplicaPool) -> list[str]:
    """Give the state of each replica."""
    return [str(replica.state) for replica in pool.replicas]


async def eject(pool: ReplicaPool, fake: FakeVllm) -> None:
    """Have a replica found ill, and be well again."""
    fake.starting = True
    await pool.look()
    await pool.look()
    fake.starting = False


async def test_every_replica_loads_and_answers(
    fleet: Fleet, pool: ReplicaPool, servers: Fakes
) -> None:
    """A prepared revision has answered on each one under its own name, and counts as loaded."""
    await pool.look()
    assert not fleet.loaded("local", NEW)
    prepared = await fleet.prepare("local", NEW, soon())
    assert (prepared.replicas, prepared.ready, dict(prepared.refusals)) == (3, 3, {})
    assert [fake.resolver.loaded for fake in servers] == [[NEW]] * 3
    assert fleet.loaded("local", NEW)
    assert all(replica.standing.resident(NEW) for replica in pool.replicas)


async def test_the_base_model_is_always_there(fleet: Fleet, pool: ReplicaPool) -> None:
    """No revision is the base model, which each replica has once it gets answers."""
    assert not fleet.loaded("local", "")
    await pool.look()
    assert fleet.loaded("local", "")
    assert (await fleet.prepare("local", "", soon())).ready == 3


@pytest.mark.parametrize(
    ("fault", "reason", "said"),
    [
        (Refuse(status=500), "BACKEND_FAILED", ""),
        (Refuse(status=503), "BACKEND_UNAVAILABLE", ""),
        (HangUp(), "BACKEND_UNAVAILABLE", ""),
        (Truncate(events=2), "STREAM_BROKEN", "before the answer was finished"),
        (NO_WORDS, "BACKEND_PROTOCOL", "without words"),
        (Raw(body=b"<html>", content_type="text/html"), "STREAM_BROKEN", ""),
        (Raw(body=b'data: {"model": 7}\n\n'), "BACKEND_PROTOCOL", "not a chunk"),
    ],
)
async def test_a_replica_that_answers_rubbish_refuses_it(
    fleet: Fleet, pool: ReplicaPool, servers: Fakes, fault: Fault, reason: str, said: str
) -> None:
    """One of three is enough to refuse it; the error says which and why, and not where."""
    await pool.look()
    servers[1].faults[NEW] = fault
    with pytest.raises(RolloutError, match="2 of 3 replicas") as caught:
        await fleet.prepare("local", NEW, soon())
    told = {key: why for key, why in caught.value.metadata.items() if key.startswith("replica_")}
    assert list(told) == ["replica_2"]
    assert told["replica_2"].startswith(f"{reason}: ")
    assert said in told["replica_2"]
    assert "127.0.0.1" not in str(caught.value)
    assert states(pool) == ["ready"] * 3
    assert not fleet.loaded("local", NEW)


async def test_a_replica_that_does_not_answer_in_time_refuses_it(
    fleet: Fleet, servers: Fakes
) -> None:
    """The wait ends with the deadline, whatever the server does."""
    for fake in servers:
        fake.faults[NEW] = Silence(events=1)
    with pytest.raises(RolloutError, match="in the time it was given") as caught:
        await fleet.prepare("local", NEW, soon(0.3))
    assert caught.value.metadata["replica_2"].startswith("BACKEND_SILENT")


async def test_a_replica_that_answers_as_another_refuses_it(
    fleet: Fleet, pool: ReplicaPool, servers: Fakes
) -> None:
    """The base model that answers under any name is not the revision."""
    await pool.look()
    servers[0].resolver.answers_as[NEW] = BASE_MODEL
    with pytest.raises(RolloutError, match=f"answered as '{BASE_MODEL}'"):
        await fleet.prepare("local", NEW, soon())


async def test_numbers_that_are_none_refuse_it(fleet: Fleet, servers: Fakes) -> None:
    """Weights that overflow give log-probabilities that are no numbers, and words all the same."""
    servers[0].logprobs[NEW] = float("nan")
    with pytest.raises(RolloutError, match="replica 1"):
        await fleet.prepare("local", NEW, soon())


async def test_names_that_are_not_there_or_do_not_load(fleet: Fleet, servers: Fakes) -> None:
    """What the store lacks, and what the engine cannot load, is told as a missing adapter."""
    servers[0].resolver.missing.add(NEW)
    servers[2].resolver.broken.add(NEW)
    with pytest.raises(RolloutError) as caught:
        await fleet.prepare("local", NEW, soon())
    assert caught.value.metadata["replica_1"].startswith("ADAPTER_NOT_LOADED")
    assert caught.value.metadata["replica_3"].startswith("ADAPTER_NOT_LOADED")
    assert "replica_2" not in caught.value.metadata


@pytest.mark.parametrize(("quorum", "enough"), [(1.0, False), (0.67, False), (2 / 3, True)])
async def test_a_quorum_is_rounded_up(
    fleet: Fleet, pool: ReplicaPool, servers: Fakes, quorum: float, enough: bool
) -> None:
    """Two of three are two thirds and not more; where they do, the third gets no answers of it."""
    await pool.look()
    servers[0].faults[NEW] = Refuse(status=500)
    if not enough:
        with pytest.raises(RolloutError):
            await fleet.prepare("local", NEW, soon(), quorum)
        return
    prepared = await fleet.prepare("local", NEW, soon(), quorum)
    assert (prepared.ready, list(prepared.refusals)) == (2, ["replica_1"])
    assert not fleet.loaded("local", NEW)
    before = len(servers[0].chats)
    for number in range(20):
        async with pool.open(generation(text=f"{number}", revision=NEW)) as pieces:
            assert [piece async for piece in pieces]
    assert len(servers[0].chats) == before


async def test_an_ejected_replica_is_brought_up_before_it_gets_answers(
    fleet: Fleet, pool: ReplicaPool, servers: Fakes
) -> None:
    """What comes back loads what is desired first: it is ready when that has answered."""
    await pool.look()
    await fleet.prepare("local", NEW, soon())
    fleet.desired({"local": frozenset({NEW, OTHER, ""})})
    await eject(pool, servers[0])
    servers[0].resolver.loaded.clear()  # it was started anew
    assert states(pool) == ["ejected", "ready", "ready"]
    assert fleet.loaded("local", NEW)  # on all that get answers
    hold = servers[0].resolver.held[NEW] = Hold()
    pool.replicas[0].hurry()
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(pool.look())
        assert await anyio.to_thread.run_sync(hold.reached.wait, 30)
        assert states(pool)[0] == "ejected"
        hold.go_on.set()
        await looking
    assert states(pool) == ["ready"] * 3
    assert servers[0].resolver.loaded == [NEW, OTHER]
    assert fleet.loaded("local", NEW)


async def test_one_that_joins_is_brought_up(
    fleet: Fleet, pool: ReplicaPool, servers: Fakes
) -> None:
    """So is a replica that was never there before."""
    fleet.desired({"local": frozenset({NEW})})
    servers[1].resolver.answers_as[NEW] = BASE_MODEL
    await pool.look()
    assert states(pool) == ["ready", "starting", "ready"]
    assert servers[0].resolver.loaded == [NEW]
    servers[1].resolver.answers_as.clear()
    await pool.look()
    assert states(pool) == ["ready"] * 3
    assert fleet.loaded("local", NEW)


async def test_a_revision_that_the_store_lost_keeps_no_replica_out(
    fleet: Fleet, pool: ReplicaPool, servers: Fakes
) -> None:
    """A replica that does not know one name still answers under all others."""
    for fake in servers:
        fake.resolver.missing.add(NEW)
    fleet.desired({"local": frozenset({NEW, OTHER})})
    await pool.look()
    assert states(pool) == ["ready"] * 3
    assert not fleet.loaded("local", NEW)
    assert fleet.loaded("local", OTHER)


async def test_one_that_gets_answers_is_brought_up_to_new_wishes(
    fleet: Fleet, pool: ReplicaPool, servers: Fakes
) -> None:
    """Another router's publication reaches a replica with its next check."""
    await pool.look()
    fleet.desired({"local": frozenset({NEW})})
    await pool.look()
    assert [fake.resolver.loaded for fake in servers] == [[NEW]] * 3
    assert fleet.loaded("local", NEW)
    fleet.desired({})
    await pool.look()
    assert fleet.loaded("local", NEW)  # what is no more desired is not unloaded


async def test_a_restart_in_between_is_noticed(
    fleet: Fleet, pool: ReplicaPool, servers: Fakes
) -> None:
    """One missed check does not eject, but what was loaded is not believed any more."""
    await pool.look()
    await fleet.prepare("local", NEW, soon())
    servers[2].starting = True
    await pool.look()
    assert states(pool) == ["ready"] * 3
    assert not fleet.loaded("local", NEW)


async def test_one_that_is_taken_out_is_not_asked(
    fleet: Fleet, pool: ReplicaPool, servers: Fakes
) -> None:
    """A draining replica neither loads anything nor counts."""
    await pool.look()
    pool.remove(servers[0].base_url)
    prepared = await fleet.prepare("local", NEW, soon())
    assert (prepared.replicas, prepared.ready) == (2, 2)
    assert servers[0].resolver.tried == []
