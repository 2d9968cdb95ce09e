"""What a choice among replicas is made by: the figures at the real vLLM's `/metrics`."""

import time

import aiohttp
import anyio
import pytest

from tame_router.backends.engine.state import EngineState
from tame_router.backends.vllm.metrics import (
    ADAPTERS,
    CACHE,
    RUNNING,
    STARTED,
    WAITING,
    EngineMetrics,
    parse_metrics,
)
from tame_router.catalog.expert import Catalog
from tame_router.chat import Sampling
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta
from tests.engine.test_vllm import PATIENCE_S, nothing_runs

pytestmark = pytest.mark.anyio

QUESTION = "有人撞了我停著的車就跑了，誰要賠？"
LONG = Sampling(max_tokens=400, temperature=0.0)


async def page(engine: EngineState) -> str:
    """Get the page as a router does."""
    url = engine.base_url.removesuffix("/v1") + "/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


async def figures(engine: EngineState) -> EngineMetrics:
    """Read the figures of now."""
    return parse_metrics(await page(engine))


async def test_every_figure_is_on_the_page(engine: EngineState, engine_client: AsyncClient) -> None:
    """This vLLM tells all that is looked for: no figure is one that stands for silence."""
    await engine_client.chat(QUESTION, expert="legal", sampling=Sampling(max_tokens=2))
    told = (await page(engine)).splitlines()
    for name in (RUNNING, WAITING, CACHE, ADAPTERS, STARTED):
        assert [line for line in told if line.startswith((f"{name} ", f"{name}{{"))], name


async def test_what_it_was_started_with(engine: EngineState, engine_client: AsyncClient) -> None:
    """Room for adapters is that of its command line, and its start lies behind us and stays."""
    await engine_client.chat(QUESTION, expert="legal", sampling=Sampling(max_tokens=2))
    told = await figures(engine)
    assert told.max_loras == int(engine.argv[engine.argv.index("--max-loras") + 1])
    assert told.started_at is not None
    assert 0 < told.started_at < time.time()
    assert (await figures(engine)).started_at == told.started_at


async def test_an_answer_is_seen(
    engine: EngineState, engine_client: AsyncClient, engine_catalog: Catalog
) -> None:
    """While an adapter answers it is on the device, counts, and takes room; afterwards not."""
    legal = engine_catalog.expert("legal").live_revision
    async with engine_client.stream(QUESTION, expert="legal", sampling=LONG) as events:
        async for event in events:
            if isinstance(event, Delta):
                break
        with anyio.fail_after(PATIENCE_S):
            while legal not in (told := await figures(engine)).adapters:
                await anyio.sleep(0.1)
    assert told.running == 1
    assert told.waiting == 0
    assert 0 < told.cache_usage < 1
    await nothing_runs(engine)
    told = await figures(engine)
    assert (told.running, told.waiting, told.adapters) == (0, 0, ())
