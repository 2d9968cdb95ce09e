"""Fixtures for tests that need several replicas: three fake vLLM servers, and a router of them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from tame_router import app
from tame_router.catalog.expert import Catalog
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tests.fakes.vllm import FakeVllm
from tests.router_fixture import changed

HASTY = {
    "health_interval_s": 0.2,
    "cool_down_s": 0.1,
    "max_cool_down_s": 0.4,
    "probe_timeout_s": 5,
}
"""Replicas are looked after more often than in service, so that tests need not wait."""


@pytest.fixture(scope="session")
def _replica_servers() -> Iterator[tuple[FakeVllm, ...]]:
    with ExitStack() as stack:
        yield tuple(stack.enter_context(FakeVllm()) for _ in range(3))


@pytest.fixture
def replicas(
    _replica_servers: tuple[FakeVllm, ...], catalog: Catalog
) -> Iterator[tuple[FakeVllm, ...]]:
    """Give three fakes that serve the same, without instructions, all of them alive."""
    revisions = (catalog.expert(name).live_revision for name in catalog.names)
    adapters = tuple(filter(None, revisions))
    for fake in _replica_servers:
        fake.reset()
        fake.adapters = adapters
    yield _replica_servers
    for fake in _replica_servers:
        fake.reset()
        if not fake.alive:
            fake.revive()


@pytest.fixture
def pooled(trained_settings: Settings, replicas: tuple[FakeVllm, ...]) -> Settings:
    """Give settings of a router in front of the three."""
    urls = [fake.base_url for fake in replicas]
    return changed(trained_settings, local={"base_urls": urls, "replicas": HASTY})


@pytest.fixture
async def pool_client(pooled: Settings) -> AsyncIterator[AsyncClient]:
    """Give a client, which does not try again, of a router in front of the three."""
    async with app.running(pooled) as address, AsyncClient(address, attempts=1) as client:
        yield client
