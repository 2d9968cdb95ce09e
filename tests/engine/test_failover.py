"""An answer of a real vLLM that breaks in its middle, and goes on.

Two proxies before one engine are two replicas: what is tried is that vLLM goes on with a
partial answer as this router asks it to, and what it counts.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import anyio
import pytest

from tame_router import app
from tame_router.backends.engine.state import EngineState
from tame_router.chat import Message, Role, Sampling, Usage
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta, ExpertFinish
from tame_router.config import Settings
from tame_router.errors import BackendUnavailableError
from tests.cutting_proxy import CuttingProxy
from tests.router_fixture import changed

pytestmark = pytest.mark.anyio

QUESTION = "My landlord keeps my deposit after I moved out. What can I do?"
TO_ITS_END = Sampling(max_tokens=200, temperature=0.0)
LIMITED = Sampling(max_tokens=12, temperature=0.0)
ONE_TOKEN = Sampling(max_tokens=1, temperature=0.0)
LOOKS = 20
CUTS = (1, 2, 3, 7, 12)
"""Events after which it is cut; the first is the role's. A CPU has no time for all of them."""


@pytest.fixture
async def proxies(engine: EngineState) -> list[CuttingProxy]:
    """Give two proxies before the engine."""
    address = urlsplit(engine.base_url)
    one, other = (CuttingProxy(address.hostname or "", address.port or 0) for _ in range(2))
    one.beside, other.beside = (other,), (one,)
    return [one, other]


@pytest.fixture
async def cut_client(
    engine_settings: Settings, proxies: list[CuttingProxy]
) -> AsyncIterator[AsyncClient]:
    """Give a client of a router in front of the two."""
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(proxy.listening()) for proxy in proxies]
        rules = {"failures": 99, "health_interval_s": 60}
        settings = changed(
            engine_settings,
            local={"base_urls": urls, "replicas": rules},
            server={"insecure": True},
        )
        address = await stack.enter_async_context(app.running(settings))
        client = await stack.enter_async_context(AsyncClient(address, attempts=1))
        await ready(client)
        yield client


async def ready(client: AsyncClient) -> None:
    """Ask until somebody answers: a busy engine may be too slow for the router's first look."""
    for _ in range(LOOKS):
        try:
            await ask(client, ONE_TOKEN)
        except BackendUnavailableError as error:
            await anyio.sleep(error.retry_after_s or 1.0)
        else:
            return
    raise AssertionError(f"neither replica was ready within {LOOKS} looks")


async def ask(client: AsyncClient, sampling: Sampling) -> tuple[str, Usage, int]:
    """Ask the legal expert, and give its words, its tokens, and how often it moved."""
    texts: list[str] = []
    message = Message(role=Role.USER, content=QUESTION)
    async with client.stream([message], expert="legal", sampling=sampling) as events:
        async for event in events:
            if isinstance(event, Delta):
                texts.append(event.text)
            elif isinstance(event, ExpertFinish):
                return "".join(texts), event.usage, event.failovers
    raise AssertionError("the expert did not finish")


@pytest.mark.parametrize("sampling", [TO_ITS_END, LIMITED], ids=["to its end", "limited"])
async def test_a_real_engine_goes_on(
    cut_client: AsyncClient, proxies: list[CuttingProxy], sampling: Sampling
) -> None:
    """Wherever it is cut, a greedy answer has the text and the tokens of the uncut one."""
    text, usage, _ = await ask(cut_client, sampling)
    assert usage.completion_tokens >= CUTS[-1]
    got = {}
    for cut in CUTS:
        before = sum(proxy.cuts for proxy in proxies)
        for proxy in proxies:
            proxy.cut_after = cut
        got[cut] = await ask(cut_client, sampling)
        assert sum(proxy.cuts for proxy in proxies) == before + 1
    assert {cut: one for cut, one in got.items() if one != (text, usage, 1)} == {}
