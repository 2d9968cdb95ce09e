"""Backends from their settings: one server, or a pool of several."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from pydantic import ValidationError

from tame_router.backends.backend import Backend, Generation
from tame_router.backends.building import (
    build_backend,
    looked_at,
    queued_backends,
    watching,
)
from tame_router.backends.queueing.queued import QueuedBackend
from tame_router.backends.replicas.choice import Ask
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.backends.replicas.state import ReplicaState
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.chat import Message, Role, Sampling
from tame_router.config import Settings
from tame_router.config_backends import LimitSettings, VllmSettings
from tame_router.errors import ConfigError
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_resolver import Hold

pytestmark = pytest.mark.anyio

PUBLISHED = "press--aaaaaaaaaaaaaaaa"


@asynccontextmanager
async def pool_of(*urls: str) -> AsyncIterator[ReplicaPool]:
    """Give a pool of servers, and close it."""
    pool = build_backend(VllmSettings(base_urls=urls), BASE_MODEL, "", name="local")
    assert isinstance(pool, ReplicaPool)
    try:
        yield pool
    finally:
        await pool.close()


@pytest.mark.parametrize("several", [False, True], ids=["base_url", "base_urls"])
async def test_one_server_is_asked_as_ever(fake_vllm: FakeVllm, several: bool) -> None:
    """One address makes no pool: no check, no counting, stop strings left to the server."""
    url = fake_vllm.base_url
    section = VllmSettings(base_urls=(url,)) if several else VllmSettings(base_url=url)
    backend = build_backend(section, BASE_MODEL, "")
    assert isinstance(backend, VllmBackend)
    generation = Generation(
        revision="",
        messages=(Message(role=Role.USER, content="?"),),
        sampling=Sampling(stop=("USER:",)),
        request_id="r",
    )
    async with backend.open(generation) as pieces:
        usages = [piece.usage async for piece in pieces if piece.usage]
    assert len(usages) == 1
    (received,) = fake_vllm.received
    assert received.body == {
        "model": BASE_MODEL,
        "messages": [{"role": "user", "content": "?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "stop": ["USER:"],
    }
    await backend.close()


async def test_several_servers_are_a_pool() -> None:
    """Several addresses make one, and each of them once."""
    urls = ("http://10.0.0.1:8100/v1", "http://10.0.0.2:8100/v1")
    pool = build_backend(VllmSettings(base_urls=urls), BASE_MODEL, "", name="local")
    assert isinstance(pool, ReplicaPool)
    assert [replica.standing.name for replica in pool.replicas] == list(urls)
    await pool.close()
    twice = VllmSettings(base_urls=(urls[0], f"{urls[0]}/"))
    with pytest.raises(ConfigError, match=r"backends\.local\.base_urls names a replica twice"):
        build_backend(twice, BASE_MODEL, "", name="local")


@pytest.mark.parametrize("way", ["base_url_dns", "base_urls_file"])
async def test_servers_that_are_named_elsewhere_are_a_pool(
    fake_vllm: FakeVllm, tmp_path: Path, way: str
) -> None:
    """Also where there is only one now: more may come. Its key and limits are the section's."""
    path = tmp_path / "replicas.yaml"
    path.write_text(f"[{fake_vllm.base_url}]", encoding="utf-8")
    address = {
        "base_url_dns": f"http://localhost:{fake_vllm.port}/v1",
        "base_urls_file": path,
    }
    fake_vllm.api_key = "k"
    section = VllmSettings.model_validate({way: address[way]})
    pool = build_backend(section, BASE_MODEL, "k", name="local")
    assert isinstance(pool, ReplicaPool)
    assert not pool.replicas
    await pool.look()
    assert fake_vllm.base_url in {
        one.standing.name for one in pool.replicas if one.state is ReplicaState.READY
    }
    await pool.close()


async def test_a_pool_asks_twice_where_it_is_wanted() -> None:
    """It is off by default; then it has no more room than the queue before it has free places."""
    urls = ("http://10.0.0.1:8100/v1", "http://10.0.0.2:8100/v1")
    plain = VllmSettings.model_validate({"base_urls": urls})
    wanted = VllmSettings.model_validate(
        {"base_urls": urls, "hedge": {"enabled": True}, "queue": {"limit": {"start": 9}}}
    )
    made = [build_backend(section, BASE_MODEL, "") for section in (plain, wanted)]
    settings = Settings.model_validate({"backends": {"a": plain, "b": wanted}})
    queued = queued_backends(settings, dict(zip("ab", made, strict=True)))["b"]
    without, pool = made
    assert isinstance(without, ReplicaPool)
    assert isinstance(pool, ReplicaPool)
    assert isinstance(queued, QueuedBackend)
    short = Ask(revision="", head=1, tokens=1, chars=1)
    generation = Generation(
        revision="",
        messages=(Message(role=Role.USER, content="?"),),
        sampling=Sampling(),
        request_id="r",
    )
    assert without.hedge_after_s(generation, short) is None
    assert pool.spare() == 9
    assert queued.places.free("t")
    assert pool.spare() == 8
    for backend in made:
        await backend.close()


async def test_what_goes_wrong_inside_is_not_hidden() -> None:
    """An error while replicas are looked after stays what it is."""
    urls = ("http://127.0.0.1:9/v1", "http://127.0.0.1:10/v1")
    pool = build_backend(VllmSettings(base_urls=urls), BASE_MODEL, "", name="local")
    with pytest.raises(ConfigError, match="as it was"):
        async with watching({"local": pool}):
            raise ConfigError("as it was")
    await pool.close()


async def test_all_replicas_are_looked_at_once(replicas: tuple[FakeVllm, ...]) -> None:
    """It is over when those that can answer are ready, the adapters they are to have among it."""
    hold = Hold()
    for fake in replicas[:2]:
        fake.resolver.active = True
        fake.resolver.held[PUBLISHED] = hold
    async with pool_of(replicas[0].base_url, replicas[1].base_url, "http://127.0.0.1:9/v1") as pool:
        pool.desire(frozenset({PUBLISHED}))
        async with watching({"local": pool}), anyio.create_task_group() as group:
            over = anyio.Event()

            async def look() -> None:
                await looked_at({"local": pool}, 60)
                over.set()

            group.start_soon(look)
            await anyio.to_thread.run_sync(hold.reached.wait)
            assert not over.is_set()
            hold.go_on.set()
            await over.wait()
            states = [one.state for one in pool.replicas]
    assert states == [ReplicaState.READY, ReplicaState.READY, ReplicaState.STARTING]


async def test_one_that_stands_still_is_not_waited_for(replicas: tuple[FakeVllm, ...]) -> None:
    """The look ends with its time; the replica is looked after as before."""
    hold = Hold()
    replicas[0].resolver.active = True
    replicas[0].resolver.held[PUBLISHED] = hold
    async with pool_of(replicas[0].base_url, replicas[1].base_url) as pool:
        pool.desire(frozenset({PUBLISHED}))
        async with watching({"local": pool}):
            await anyio.to_thread.run_sync(hold.reached.wait)
            await looked_at({"local": pool}, 0.05)
            before = pool.replicas[0].state
            hold.go_on.set()
            await pool.look()
            states = [before, pool.replicas[0].state]
    assert states == [ReplicaState.STARTING, ReplicaState.READY]


async def test_a_queue_stands_before_what_is_asked_for_it() -> None:
    """Of a server it is there unless switched off, of LiteLLM only where it is wanted."""
    settings = Settings.model_validate(
        {
            "backends": {
                "plain": {"queue": {"weights": {"hospital": 3}, "limit": {"min": 2, "start": 9}}},
                "off": {"queue": {"enabled": False}},
                "other": {"kind": "litellm", "base_model": "x"},
                "wanted": {"kind": "litellm", "base_model": "x", "queue": {"enabled": True}},
            }
        }
    )
    bare: dict[str, Backend] = {
        name: VllmBackend(VllmSpec(base_model=BASE_MODEL)) for name in settings.backends
    }
    found = queued_backends(settings, bare)
    queued = {name for name, backend in found.items() if isinstance(backend, QueuedBackend)}
    assert queued == {"plain", "wanted"}
    assert found["off"] is bare["off"]
    plain = found["plain"]
    assert isinstance(plain, QueuedBackend)
    assert plain.backend is bare["plain"]
    assert plain.places.adaptive.value == 9
    for backend in found.values():
        await backend.close()


def test_a_limit_begins_within_its_ends() -> None:
    """A start outside of min and max is refused, and told."""
    with pytest.raises(ValidationError, match="start is 4; expected one from min, 8, to max, 1024"):
        LimitSettings(start=4)
