"""Two real engines behind one router, and one of them killed in the middle of its answers."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import aiohttp
import anyio
import pytest

from tame_router import app, local_engine
from tame_router.backends.engine.process import key_file, launch, stop, wait_ready
from tame_router.backends.engine.state import EngineState, members
from tame_router.catalog.expert import Catalog
from tame_router.chat import FinishReason, Sampling, Usage
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta, ExpertFinish, Final
from tame_router.config import Settings
from tests.engine.conftest import START_TIMEOUT_S, real_settings
from tests.engine.test_vllm import metric
from tests.router_fixture import changed

pytestmark = pytest.mark.anyio

QUESTIONS = (
    "房東不退押金，我可以怎麼辦？",
    "公司兩個月沒付薪水，我該怎麼辦？",
    "商店不肯讓我退壞掉的手機，我有什麼權利？",
    "鄰居在我的土地上蓋牆，怎麼辦？",
    "沒看內容就簽了契約，有效嗎？",
    "有人撞了我停著的車就跑了，誰要賠？",
)
"""So many that neither engine is without one: who has five more than the other gets no more."""

SAMPLING = Sampling(max_tokens=48, temperature=0.0, seed=7)

HEARD = 4
"""Pieces that every answer has had when the engine dies: each is in its middle."""

RULES = {
    "failures": 1,
    "health_interval_s": 60,
    "metrics_interval_s": 0,
    "resume_wait_s": 120,
}
"""One broken stream is enough to be out. Nobody is out because a busy machine was slow to say that
it is well, and figures of a moment ago have no say in where an answer goes."""

PATIENCE_S = 120
"""For a figure of the router's: two cores that others use too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a caller sees of an answer."""

    text: str
    finish_reason: FinishReason
    usage: Usage
    failovers: int


@dataclass
class Hearing:
    """Is told of every piece, and waits until all answers have had enough of them."""

    left: int
    all_begun: anyio.Event = field(default_factory=anyio.Event)

    def begun(self) -> None:
        """Take note that an answer has had enough pieces."""
        self.left -= 1
        if not self.left:
            self.all_begun.set()


@pytest.fixture(scope="module")
def second_engine(
    engine: EngineState,
    engine_key: str,
    engine_catalog: Catalog,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[EngineState]:
    """Run an engine that has the legal adapter alone, beside the session's and with its key."""
    folder = tmp_path_factory.mktemp("second")
    spec = local_engine.engine_spec(real_settings())
    if spec.device == "cuda":
        pytest.skip("one GPU has no room for a second engine")
    key_file(folder).parent.mkdir()
    key_file(folder).write_text(engine_key, encoding="ascii")
    legal = engine_catalog.expert("legal").live_revision
    spec = replace(
        spec,
        adapters=tuple((name, path) for name, path in spec.adapters if name == legal),
        adapter_store=None,
        dtype="float32",
        max_loras=1,
        port=0,
        state_dir=folder,
        log_path=folder / "engine.log",
    )
    try:
        state = launch(spec)
        wait_ready(state, timeout_s=START_TIMEOUT_S)
        yield state
    finally:
        stop(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A client of a router before both engines, and where the router tells of itself."""

    client: AsyncClient
    http: str

    async def told(self, line: str) -> None:
        """Wait until the router's metrics have a line."""
        url = f"http://{self.http}/metrics"
        with anyio.fail_after(PATIENCE_S):
            async with aiohttp.ClientSession() as session:
                while True:
                    async with session.get(url) as response:
                        if line in (await response.text()).splitlines():
                            return
                    await anyio.sleep(0.2)


@pytest.fixture
async def site(
    engine_settings: Settings, engine: EngineState, second_engine: EngineState
) -> AsyncIterator[Site]:
    """Give a router before both, once both get answers."""
    patience = {"first_token_timeout_s": PATIENCE_S, "stall_timeout_s": PATIENCE_S}
    urls = [engine.base_url, second_engine.base_url]
    settings = changed(engine_settings, local={"base_urls": urls, "replicas": RULES, **patience})
    http: list[str] = []
    async with AsyncExitStack() as stack:
        running = app.running(settings, announce_http=http.append)
        address = await stack.enter_async_context(running)
        client = await stack.enter_async_context(AsyncClient(address, attempts=1))
        site = Site(client=client, http=http[0])
        await site.told('tame_replicas{backend="local",state="ready"} 2.0')
        yield site


async def ask(client: AsyncClient, question: str, hearing: Hearing) -> Answer:
    """Ask the legal expert, and put together what arrives."""
    texts: list[str] = []
    finishes: list[ExpertFinish] = []
    finals: list[Final] = []
    async with client.stream(question, expert="legal", sampling=SAMPLING) as events:
        async for event in events:
            match event:
                case Delta():
                    texts.append(event.text)
                    if len(texts) == HEARD:
                        hearing.begun()
                case ExpertFinish():
                    finishes.append(event)
                case Final():
                    finals.append(event)
    (finish,), (final,) = finishes, finals
    assert final.usage == finish.usage
    return Answer(
        text="".join(texts),
        finish_reason=finish.finish_reason,
        usage=finish.usage,
        failovers=finish.failovers,
    )


async def ask_all(
    client: AsyncClient, answers: dict[str, Answer], hearing: Hearing | None = None
) -> None:
    """Ask all questions at once, and keep the answers."""
    hearing = hearing or Hearing(left=len(QUESTIONS))

    async def keep(question: str) -> None:
        answers[question] = await ask(client, question, hearing)

    async with anyio.create_task_group() as group:
        for question in QUESTIONS:
            group.start_soon(keep, question)


async def test_a_killed_engine_costs_no_answer(
    site: Site, engine: EngineState, second_engine: EngineState
) -> None:
    """Its answers go on at the other one: text, end and tokens are those of the uncut ones."""
    uncut: dict[str, Answer] = {}
    await ask_all(site.client, uncut)
    assert [answer.failovers for answer in uncut.values()] == [0] * len(QUESTIONS)

    answers: dict[str, Answer] = {}
    hearing = Hearing(left=len(QUESTIONS))
    async with anyio.create_task_group() as group:
        group.start_soon(ask_all, site.client, answers, hearing)
        await hearing.all_begun.wait()
        cut = await metric(second_engine, "vllm:num_requests_running")
        os.killpg(second_engine.pid, signal.SIGKILL)
    assert cut >= 1
    assert sum(answer.failovers for answer in answers.values()) == cut
    assert {q: replace(answer, failovers=0) for q, answer in answers.items()} == uncut
    assert {answer.failovers for answer in answers.values()} <= {0, 1}
    await site.told('tame_replicas{backend="local",state="ejected"} 1.0')
    with anyio.fail_after(PATIENCE_S):  # giving back so much memory takes the system a moment
        while members(second_engine):
            await anyio.sleep(0.1)
    again = await ask(site.client, QUESTIONS[0], Hearing(left=1))
    assert again == uncut[QUESTIONS[0]]
