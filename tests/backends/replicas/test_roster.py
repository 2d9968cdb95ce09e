"""Replicas that come, go, and turn out to be others than they were."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from tame_router.backends.backend import Generation
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.backends.replicas.pool_spec import PoolSpec
from tame_router.backends.vllm.backend import VllmSpec
from tame_router.chat import Message, Role, Sampling
from tests.backends.replicas.conftest import Notes
from tests.fakes.vllm import BASE_MODEL, MAX_MODEL_LEN, FakeVllm
from tests.fakes.vllm_script import Pace
from tests.quota.poll import until

pytestmark = pytest.mark.anyio

Fakes = tuple[FakeVllm, ...]
NEW = "legal--00000000000000aa"
QUESTION = Generation(
    revision="",
    messages=(Message(role=Role.USER, content="?"),),
    sampling=Sampling(),
    request_id="r",
)


@pytest.fixture
async def pool(replicas: Fakes, notes: Notes) -> AsyncIterator[ReplicaPool]:
    """Give a pool of the first fake alone, which looks after its replicas when told to."""
    for fake in replicas:
        fake.resolver.active = True
    pool = ReplicaPool(
        PoolSpec(
            name="local",
            replicas=(VllmSpec(base_url=replicas[0].base_url, base_model=BASE_MODEL),),
            health_interval_s=0.05,
            metrics_interval_s=0.05,
        ),
        notes,
    )
    yield pool
    await pool.close()


@asynccontextmanager
async def watched(pool: ReplicaPool) -> AsyncIterator[None]:
    """Have a pool looked after inside."""
    async with asyncio.TaskGroup() as group:
        watcher = group.create_task(pool.watch())
        yield
        watcher.cancel()


def states(pool: ReplicaPool) -> list[str]:
    """Give the state of each replica."""
    return [str(replica.state) for replica in pool.replicas]


async def write(pool: ReplicaPool) -> str:
    """Have an answer written."""
    async with pool.open(QUESTION) as pieces:
        return "".join([piece.text async for piece in pieces])


async def test_one_that_comes_is_looked_at_first(pool: ReplicaPool, replicas: Fakes) -> None:
    """It gets answers when it is well and has what is published, not before."""
    pool.desire(frozenset({NEW}))
    replicas[1].starting = True
    async with watched(pool):
        await until(lambda: states(pool) == ["ready"])
        pool.add(replicas[1].base_url)
        assert states(pool) == ["ready", "starting"]
        for _ in range(5):
            await write(pool)
        assert not replicas[1].chats
        replicas[1].starting = False
        await until(lambda: states(pool) == ["ready", "ready"])
    assert replicas[1].resolver.loaded == [NEW]
    assert replicas[1].chats[0].body["model"] == NEW


async def test_one_that_goes_finishes_first(pool: ReplicaPool, replicas: Fakes) -> None:
    """Its stream is not cut; it gets no other; then its connections are closed."""
    replicas[0].pace = Pace(answer_tokens=8)
    uncut = await write(pool)
    async with watched(pool):
        await until(lambda: states(pool) == ["ready"])
        replicas[0].frozen = True
        async with pool.open(QUESTION) as pieces:
            pool.add(replicas[1].base_url)
            await until(lambda: states(pool) == ["ready", "ready"])
            pool.remove(replicas[0].base_url)
            await write(pool)
            assert (len(replicas[0].chats), len(replicas[1].chats)) == (2, 1)
            assert states(pool) == ["draining", "ready"]
            replicas[0].frozen = False
            assert "".join([piece.text async for piece in pieces]) == uncut
        await until(lambda: states(pool) == ["ready"])
    assert [one.standing.name for one in pool.replicas] == [replicas[1].base_url]


async def test_one_comes_back_while_it_leaves(pool: ReplicaPool, replicas: Fakes) -> None:
    """It is another one then: the old one goes on leaving."""
    async with watched(pool):
        await until(lambda: states(pool) == ["ready"])
        replicas[0].frozen = True
        async with pool.open(QUESTION) as pieces:
            pool.remove(replicas[0].base_url)
            pool.add(replicas[0].base_url)
            with pytest.raises(ValueError, match="expected a new address"):
                pool.add(replicas[0].base_url)
            await until(lambda: states(pool) == ["draining", "ready"])
            replicas[0].frozen = False
            assert [piece async for piece in pieces]
        await until(lambda: states(pool) == ["ready"])
        assert await write(pool)


async def test_nobody_watches(pool: ReplicaPool, replicas: Fakes) -> None:
    """One that has left is forgotten by the next look too; one that is unknown cannot leave."""
    pool.add(replicas[1].base_url)
    await pool.look()
    pool.remove(replicas[0].base_url)
    with pytest.raises(KeyError):
        pool.remove(replicas[0].base_url)
    await pool.look()
    assert [one.standing.name for one in pool.replicas] == [replicas[1].base_url]


@pytest.mark.parametrize(
    ("context_tokens", "base_model", "why"),
    [
        (MAX_MODEL_LEN // 2, BASE_MODEL, "short_context"),
        (MAX_MODEL_LEN, "another", "other_base_model"),
    ],
)
async def test_one_that_does_not_fit(
    pool: ReplicaPool,
    replicas: Fakes,
    notes: Notes,
    context_tokens: int,
    base_model: str,
    why: str,
) -> None:
    """It gets no answers, and metrics say why, until it is what the others are."""
    await pool.look()
    replicas[1].max_model_len, replicas[1].base_model = context_tokens, base_model
    pool.add(replicas[1].base_url)
    await pool.look()
    assert states(pool) == ["ready", "starting"]
    assert pool.replicas[1].why == why
    assert (notes.counts["starting"], notes.out[why]) == (1, 1)
    assert await pool.context_tokens() == MAX_MODEL_LEN
    replicas[1].max_model_len, replicas[1].base_model = MAX_MODEL_LEN, BASE_MODEL
    await pool.look()
    assert states(pool) == ["ready", "ready"]
    assert notes.out[why] == 0


async def test_those_that_start_together_are_compared(replicas: Fakes) -> None:
    """The one whose context is too short gets nothing, whichever of them answers first."""
    for short in replicas:
        spec = VllmSpec(base_model=BASE_MODEL)
        pool = ReplicaPool(
            PoolSpec(replicas=tuple(replace(spec, base_url=one.base_url) for one in replicas))
        )
        for fake in replicas:
            fake.max_model_len = MAX_MODEL_LEN // 2 if fake is short else MAX_MODEL_LEN
        await pool.look()
        assert states(pool).count("ready") == 2
        assert pool.replicas[replicas.index(short)].why == "short_context"
        await pool.close()


async def test_what_it_tells_counts(pool: ReplicaPool, replicas: Fakes) -> None:
    """Queue, cache and adapters of `/metrics` come into its standing; its silence is no harm."""
    figures = replicas[0].figures
    figures.waiting, figures.cache_usage, figures.adapters = 3, 0.5, ((), (NEW,))
    standing = pool.replicas[0].standing
    async with watched(pool):
        await until(lambda: standing.resident(NEW))
        assert (standing.waiting, standing.cache_usage, standing.room) == (3, 0.5, 4)
        figures.status = 500
        await until(lambda: standing.told_until < anyio.current_time())
        assert states(pool) == ["ready"]
        assert await write(pool)


async def test_what_it_lists_counts(pool: ReplicaPool, replicas: Fakes) -> None:
    """A router that starts beside a server that runs knows the adapters it has."""
    replicas[0].resolver.loaded.append(NEW)
    await pool.look()
    assert pool.replicas[0].standing.resident(NEW)


async def test_another_process(pool: ReplicaPool, replicas: Fakes, notes: Notes) -> None:
    """One that was started anew, unseen, has nothing: it loads what it must before it goes on."""
    pool.desire(frozenset({NEW}))
    async with watched(pool):
        await until(lambda: pool.replicas[0].standing.told_until > 0)
        replicas[0].restart()
        await until(lambda: replicas[0].resolver.loaded == [NEW])
        assert "restarted" in notes.out
        await until(lambda: states(pool) == ["ready"])
        assert await write(pool)
    assert replicas[0].resolver.tried == [NEW, NEW]


async def test_an_earlier_start_is_no_other_process(pool: ReplicaPool, replicas: Fakes) -> None:
    """Behind one address there may be several, which tell their own start in turn."""
    await pool.look()
    await pool.replicas[0].scrape()
    replicas[0].figures.started_at -= 60
    await pool.replicas[0].scrape()
    replicas[0].figures.started_at += 60
    await pool.replicas[0].scrape()
    assert states(pool) == ["ready"]
