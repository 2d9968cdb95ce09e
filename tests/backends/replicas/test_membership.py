"""A pool whose replicas are those that a name, or a file, names."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tame_router.backends.replicas.dns_source import DnsSource
from tame_router.backends.replicas.file_source import FileSource
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.backends.replicas.pool_spec import PoolSpec
from tame_router.backends.replicas.source import Source
from tame_router.backends.vllm.backend import VllmSpec
from tame_router.errors import BackendUnavailableError
from tests.backends.replicas.test_dns_source import Zone
from tests.backends.replicas.test_roster import states, watched, write
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.quota.poll import until

pytestmark = pytest.mark.anyio

Fakes = tuple[FakeVllm, ...]


@pytest.fixture
async def pools() -> AsyncIterator[list[ReplicaPool]]:
    """Give a list whose pools are closed at the end."""
    made: list[ReplicaPool] = []
    yield made
    for pool in made:
        await pool.close()


def of(source: Source, pools: list[ReplicaPool]) -> ReplicaPool:
    """Give a pool of what a source names, which is looked at often."""
    spec = PoolSpec(
        replicas=(),
        server=VllmSpec(base_model=BASE_MODEL),
        source=source,
        refresh_interval_s=0.02,
        health_interval_s=0.05,
    )
    pools.append(ReplicaPool(spec))
    return pools[-1]


def named(pool: ReplicaPool) -> set[str]:
    """Give the addresses of the replicas."""
    return {one.standing.name for one in pool.replicas}


def lines(fakes: Sequence[FakeVllm]) -> str:
    """Write a file of replicas."""
    return "".join(f"{fake.base_url}\n" for fake in fakes)


async def test_a_file_that_changes(
    tmp_path: Path, replicas: Fakes, pools: list[ReplicaPool]
) -> None:
    """Who is written in comes, who is taken out goes."""
    path = tmp_path / "replicas"
    path.write_text(lines(replicas[:2]), encoding="utf-8")
    pool = of(FileSource(path), pools)
    async with watched(pool):
        await until(lambda: states(pool) == ["ready", "ready"])
        path.write_text(lines(replicas[1:]), encoding="utf-8")
        await until(lambda: named(pool) == {fake.base_url for fake in replicas[1:]})
        await until(lambda: states(pool) == ["ready", "ready"])
        assert await write(pool)


@pytest.mark.parametrize("broken", ["", "http://10.0.0.1:8100/v1\nnobody\n"])
async def test_a_file_that_breaks(
    tmp_path: Path,
    replicas: Fakes,
    pools: list[ReplicaPool],
    broken: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It changes nothing, and the log says so once."""
    path = tmp_path / "replicas"
    path.write_text(lines(replicas), encoding="utf-8")
    pool = of(FileSource(path), pools)
    await pool.look()
    with caplog.at_level(logging.WARNING):
        path.write_text(broken, encoding="utf-8")
        await pool.look()
        path.unlink(missing_ok=True)
        await pool.look()
        await pool.look()
    assert states(pool) == ["ready"] * 3
    said = [one for one in caplog.records if one.getMessage() == "replicas.unknown"]
    assert len(said) == 2


async def test_a_name_with_several_addresses(pools: list[ReplicaPool]) -> None:
    """Each address behind it is a replica; when it is not known, those there were stay."""
    with ExitStack() as stack:
        fakes = [stack.enter_context(FakeVllm())]
        for host in ("127.0.0.2", "127.0.0.3"):
            fakes.append(stack.enter_context(FakeVllm(fakes[0].port, host)))
        zone = Zone("127.0.0.1", "127.0.0.2")
        pool = of(DnsSource(f"http://engines.internal:{fakes[0].port}/v1", zone), pools)
        assert await write(pool)  # the first answer has the name looked up
        assert named(pool) == {fake.base_url for fake in fakes[:2]}
        async with watched(pool):
            zone.addresses = ["127.0.0.2", "127.0.0.3"]
            await until(lambda: named(pool) == {fake.base_url for fake in fakes[1:]})
            await until(lambda: states(pool) == ["ready", "ready"])
            zone.error = OSError("Temporary failure in name resolution")
            asked = len(zone.asked)
            await until(lambda: len(zone.asked) >= asked + 3)
            assert named(pool) == {fake.base_url for fake in fakes[1:]}
            assert await write(pool)


async def test_nobody_is_named(pools: list[ReplicaPool]) -> None:
    """A pool without replicas refuses, says what is wrong, and comes alive by itself."""
    zone = Zone()
    pool = of(DnsSource("http://engines.internal/v1", zone), pools)
    assert not await pool.ready()
    with pytest.raises(BackendUnavailableError, match="the backend has no replicas"):
        await write(pool)
    with FakeVllm() as fake:
        zone.addresses = ["127.0.0.1"]
        later = of(DnsSource(f"http://engines.internal:{fake.port}/v1", zone), pools)
        assert await write(later)
