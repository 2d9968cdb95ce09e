"""What a backend with a queue before it makes of how its server does."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from tame_router.backends.queueing.limit import LimitRules
from tame_router.backends.queueing.queued import QueuedBackend
from tame_router.backends.queueing.spec import QueueSpec
from tame_router.backends.vllm.backend import VllmBackend
from tame_router.errors import (
    BackendFailedError,
    BackendOverloadedError,
    BackendSilentError,
    BackendUnavailableError,
)
from tame_router.telemetry.recorder import Recorder
from tests.backends.queueing.conftest import of, waiting
from tests.fakes.generations import generation, read
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Pace, Refuse, Silence

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Refuse(status=429), BackendOverloadedError),
        (Refuse(status=503), BackendUnavailableError),
        (Silence(), BackendSilentError),
    ],
)
async def test_a_busy_server_gets_less(
    connect: Callable[..., VllmBackend],
    fake_vllm: FakeVllm,
    fault: Refuse | Silence,
    kind: type[Exception],
) -> None:
    """429, 503 and silence lower the limit; the place is given back."""
    spec = QueueSpec(limit=LimitRules(start=20, least=1, most=20))
    backend = QueuedBackend(connect(first_token_timeout_s=0.2), spec)
    fake_vllm.next(fault)
    with pytest.raises(kind):
        await read(backend, generation())
    assert backend.places.adaptive.value == 1
    assert backend.places.under_way == 0


async def test_other_failures_say_nothing_of_load(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """A server that fails is no busy one."""
    backend = QueuedBackend(connect(), QueueSpec(limit=LimitRules(start=20, least=1, most=20)))
    fake_vllm.next(Refuse(status=500))
    with pytest.raises(BackendFailedError):
        await read(backend, generation())
    assert backend.places.adaptive.value == 20
    assert backend.places.under_way == 0


async def test_a_queue_can_be_watched(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm, held: AsyncExitStack
) -> None:
    """Places, answers under way and waiting, the time waited and refusals are metrics."""
    recorder = Recorder()
    limit = LimitRules(start=1, least=1, most=1)
    spec = QueueSpec(name="local", limit=limit, length=1)
    backend = QueuedBackend(connect(), spec, recorder)
    await held.enter_async_context(backend.open(of("x")))
    async with asyncio.TaskGroup() as group:
        group.create_task(read(backend, of("a")))
        await waiting(backend, 1)
        with pytest.raises(BackendOverloadedError):
            await read(backend, of("a"))
        text = recorder._metrics.render("")[0].decode()
        assert 'tame_backend_limit{backend="local"} 1.0' in text
        assert 'tame_backend_under_way{backend="local"} 1.0' in text
        assert 'tame_queue_length{backend="local"} 1.0' in text
        await held.aclose()
    text = recorder._metrics.render("")[0].decode()
    assert 'tame_queue_refusals_total{backend="local",why="length"} 1.0' in text
    assert 'tame_queue_duration_seconds_count{backend="local"} 1.0' in text


async def test_the_limit_finds_the_servers_places(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """Before a server with four places the limit comes down, and does not stay below them."""
    fake_vllm.slots.most = 4
    fake_vllm.pace = Pace(token_s=0.005, answer_tokens=8)
    limit = LimitRules(start=64, least=1, most=64, wait_s=0.0)
    backend = QueuedBackend(connect(), QueueSpec(limit=limit, length=1_000, wait_s=1_000))
    places = []

    async def caller() -> None:
        for _ in range(12):
            await read(backend, generation())
            places.append(backend.places.adaptive.value)

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(caller())
    late = sorted(places[len(places) // 2 :])
    assert 3 <= late[len(late) // 2] <= 12
