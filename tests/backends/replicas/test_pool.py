"""Several replicas behind one backend: who gets traffic, and who comes back."""

import anyio
import pytest
from msgspec.structs import replace

from tame_router.backends.backend import Generation
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.backends.replicas.state import ReplicaState
from tame_router.chat import Message, Role, Sampling, Usage
from tame_router.errors import (
    BackendFailedError,
    BackendSilentError,
    BackendUnavailableError,
    DeadlineExceededError,
    StreamBrokenError,
    TameError,
)
from tests.backends.replicas.conftest import Fakes, Notes
from tests.fakes import vllm_wire as wire
from tests.fakes.vllm import MAX_MODEL_LEN, FakeVllm
from tests.fakes.vllm_script import Cut, Refuse, Silence

pytestmark = pytest.mark.anyio


async def write(pool: ReplicaPool, question: str = "?") -> tuple[str, Usage]:
    """Have an answer written by the base model."""
    generation = Generation(
        revision="",
        messages=(Message(role=Role.USER, content=question),),
        sampling=Sampling(),
        request_id="r",
    )
    text, usages = "", []
    async with pool.open(generation) as pieces:
        async for piece in pieces:
            text += piece.text
            usages += [piece.usage] if piece.usage else []
    (usage,) = usages
    return text, usage


def states(pool: ReplicaPool) -> list[str]:
    """Give the state of each replica."""
    return [str(replica.state) for replica in pool.replicas]


async def test_nobody_is_asked_before_it_is_known(pool: ReplicaPool, replicas: Fakes) -> None:
    """The first answer has health and base model looked up, and then goes out."""
    assert states(pool) == ["starting"] * 3
    await write(pool)
    assert states(pool) == ["ready"] * 3
    for fake in replicas:
        assert [one.path for one in fake.received[:2]] == ["/health", "/v1/models"]


async def test_a_breaker_opens_and_one_probe_closes_it(
    pool: ReplicaPool, replicas: Fakes, notes: Notes
) -> None:
    """A replica that fails is left, though its /health is fine, until it wrote one token."""
    await pool.look()
    home = replicas.index(await _home(pool, replicas))
    sick = replicas[home]
    sick.always = Refuse(status=500)
    for number in range(200):
        if notes.failovers[1:]:
            break
        await write(pool, f"{number}")
    assert states(pool)[home] == ReplicaState.EJECTED
    assert notes.counts[ReplicaState.EJECTED] == 1
    assert notes.failovers == [("local", "failed", "retried")] * 2
    asked = len(sick.chats)
    await write(pool)
    await pool.look()  # the cool-down is not over
    assert len(sick.chats) == asked
    pool.replicas[home].hurry()
    await pool.look()
    assert states(pool)[home] == ReplicaState.EJECTED
    assert sick.chats[-1].body["max_tokens"] == 1
    sick.always = None
    pool.replicas[home].hurry()
    await pool.look()
    assert states(pool) == ["ready"] * 3
    await write(pool)


async def test_what_is_asked_aside_is_held_against_nobody(
    pool: ReplicaPool, replicas: Fakes, notes: Notes
) -> None:
    """Its failures open no breaker, are tried on no other replica, and spend no budget."""
    await pool.look()
    for fake in replicas:
        fake.always = Refuse(status=500)
    aside = Generation(
        revision="",
        messages=(Message(role=Role.USER, content="?"),),
        sampling=Sampling(),
        request_id="r",
        aside=True,
    )
    for asked in range(1, 10):
        with pytest.raises(BackendFailedError):
            async with pool.open(aside):
                pass
        assert sum(len(fake.chats) for fake in replicas) == asked
    assert states(pool) == ["ready"] * 3
    assert notes.failovers == []


async def _home(pool: ReplicaPool, replicas: Fakes) -> FakeVllm:
    """Find out which fake the question is at home on."""
    before = [len(fake.chats) for fake in replicas]
    await write(pool)
    return next(f for f, count in zip(replicas, before, strict=True) if len(f.chats) > count)


async def test_two_missed_checks_eject(pool: ReplicaPool, replicas: Fakes) -> None:
    """One bad moment does not."""
    await pool.look()
    replicas[1].starting = True
    await pool.look()
    assert states(pool) == ["ready"] * 3
    await pool.look()
    assert states(pool) == ["ready", "ejected", "ready"]
    assert pool.replicas[1].why == "unhealthy"


async def test_another_server_on_the_port(pool: ReplicaPool, replicas: Fakes) -> None:
    """What comes back with another base model stays out."""
    await pool.look()
    replicas[0].starting = True
    await pool.look()
    await pool.look()
    replicas[0].starting = False
    replicas[0].base_model = "another"
    pool.replicas[0].hurry()
    await pool.look()
    assert states(pool)[0] == "ejected"
    assert pool.replicas[0].why == "other_base_model"
    assert "serves 'another'" in pool.replicas[0].detail


async def test_draining(pool: ReplicaPool, replicas: Fakes) -> None:
    """A drained replica finishes what it writes, and is asked no more."""
    await pool.look()
    fake = await _home(pool, replicas)
    chats = len(fake.chats)
    generation = Generation(
        revision="",
        messages=(Message(role=Role.USER, content="?"),),
        sampling=Sampling(),
        request_id="r",
    )
    async with pool.open(generation) as pieces:
        pool.remove(fake.base_url)
        assert "".join([piece.text async for piece in pieces])
    await write(pool)
    assert len(fake.chats) == chats + 1
    assert states(pool).count("draining") == 1


async def test_all_of_them_come_back(pool: ReplicaPool, replicas: Fakes) -> None:
    """Where none is left, those that are out are looked at before anyone is refused."""
    await pool.look()
    for fake in replicas:
        fake.starting = True
    await pool.look()
    await pool.look()
    assert states(pool) == ["ejected"] * 3
    assert not await pool.ready()
    with pytest.raises(BackendUnavailableError, match="none of the backend's 3 replicas"):
        await write(pool)
    for fake in replicas:
        fake.starting = False
    await anyio.sleep(0.3)  # they are not looked at more often than that
    assert (await write(pool))[0]


async def test_an_answer_that_has_begun_waits_for_a_replica(
    pool: ReplicaPool, replicas: Fakes
) -> None:
    """It is not given up while the time for that is not over, and is then."""
    await pool.look()
    for fake in replicas:
        fake.always = Refuse(status=503)
    replicas[0].share_faults(replicas)
    replicas[0].next(Cut(after_events=5))
    with pytest.raises(TameError) as caught:
        await write(pool)
    assert caught.value.reason == "BACKEND_UNAVAILABLE"
    assert set(caught.value.metadata) >= {"replica_1", "replica_2", "replica_3"}


async def test_full_where_the_context_is(pool: ReplicaPool, replicas: Fakes) -> None:
    """An answer that fills the context ends by its length on another replica too."""
    await pool.look()
    for fake in replicas:
        fake.max_model_len = 20
    uncut, usage = await write(pool)
    replicas[0].share_faults(replicas)
    replicas[0].next(Cut(after_events=1 + usage.completion_tokens))
    assert await write(pool) == (uncut, replace(usage, failovers=1))


async def test_the_context_is_the_shortest(pool: ReplicaPool, replicas: Fakes) -> None:
    """A prompt must fit wherever it may go: of those that get answers, longer ones count not."""
    replicas[2].max_model_len = 2 * MAX_MODEL_LEN
    assert await pool.context_tokens() == MAX_MODEL_LEN
    assert states(pool) == ["ready"] * 3


async def test_leaving_early_closes_the_stream(pool: ReplicaPool, replicas: Fakes) -> None:
    """A caller that goes takes its generation with it, and leaves no load behind."""
    await pool.look()
    replicas[0].share_faults(replicas)
    replicas[0].next(Silence(events=3))
    generation = Generation(
        revision="",
        messages=(Message(role=Role.USER, content="?"),),
        sampling=Sampling(),
        request_id="r",
    )
    async with pool.open(generation) as pieces:
        await pieces.__anext__()
    (chat,) = [chat for fake in replicas for chat in fake.chats]
    assert await anyio.to_thread.run_sync(chat.disconnected.wait, 5)
    assert [replica.standing.answers for replica in pool.replicas] == [0, 0, 0]


async def test_leaving_before_the_first_word(pool: ReplicaPool, replicas: Fakes) -> None:
    """So does a caller that goes while a replica has not even sent a header."""
    await pool.look()
    for fake in replicas:
        fake.always = Silence(events=None)
    with anyio.move_on_after(0.3):
        await write(pool)
    assert [replica.standing.answers for replica in pool.replicas] == [0, 0, 0]
    assert [replica.standing.tokens for replica in pool.replicas] == [0, 0, 0]


async def test_the_caller_waits_once_for_the_first_token(
    pool: ReplicaPool, replicas: Fakes
) -> None:
    """Its own limit is on the whole wait: when it is over no other replica is asked, or blamed."""
    await pool.look()
    for fake in replicas:
        fake.always = Silence(events=1)
    generation = Generation(
        revision="",
        messages=(Message(role=Role.USER, content="?"),),
        sampling=Sampling(),
        request_id="r",
        first_token_timeout_s=0.1,
    )
    for _ in range(8):  # so that each has more of them than its breaker bears
        with pytest.raises(BackendSilentError):
            async with pool.open(generation) as pieces:
                await pieces.__anext__()
    late = replace(generation, first_token_timeout_s=None, begin_by=anyio.current_time() + 0.1)
    with pytest.raises(DeadlineExceededError):
        async with pool.open(late) as pieces:
            await pieces.__anext__()
    assert sum(len(fake.chats) for fake in replicas) == 9
    assert {replica.state for replica in pool.replicas} == {ReplicaState.READY}


async def test_a_replica_that_cannot_go_on(pool: ReplicaPool, replicas: Fakes) -> None:
    """What the caller asked is not called wrong because a server cannot go on with an answer."""
    await pool.look()
    replicas[0].share_faults(replicas)
    refusal = Refuse(status=400, body=wire.error_body(400, "continue_final_message: no"))
    replicas[0].next(Cut(after_events=5), refusal)
    with pytest.raises(StreamBrokenError):
        await write(pool)
