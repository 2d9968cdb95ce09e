"""The life of adapters on a real vLLM: judged, published, replaced, brought back, over gRPC."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import msgspec
import pytest

from tame_router.backends.engine.state import EngineState
from tame_router.chat import Sampling
from tame_router.client.adapter import Revision, RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tests.engine.crowd import QUESTION, SAMPLING, Crowd
from tests.engine.life_site import (
    LENIENT,
    EngineSite,
    before_engine,
    bring,
    choices_alone,
    teach,
)

pytestmark = pytest.mark.anyio

CLIENTS = 8
LAW = r"Under the"
MEDICINE = r"This may be|In general"
"""How the adapters begin their answers: the form that they were trained on."""

HARM = -3.0
"""What the law adapter learnt, the wrong way round."""

MOST_ASKED = 300

Tell = Callable[[str], None]


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Give settings of routers over a few experts, trained once."""
    return teach(tmp_path_factory.mktemp("life"))


@pytest.fixture
def site(taught: Settings, engine: EngineState, engine_key: str, tmp_path: Path) -> EngineSite:
    """Give a place of its own before the real vLLM, and with the store that that loads from."""
    return before_engine(taught, engine, engine_key, tmp_path)


@pytest.fixture
def lenient_site(site: EngineSite, tmp_path: Path) -> EngineSite:
    """Give the same with a gate that asks little and lets everything through."""
    return replace(site, settings=choices_alone(site.settings, tmp_path))


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Give what writes a measured figure into the test's output, where it is seen."""

    def write(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}", end="", flush=True)

    return write


async def test_the_gate_takes_a_copy_and_refuses_harm(site: EngineSite, tell: Tell) -> None:
    """What answers as well is approved; what was scaled, or learnt another domain, is told why."""
    begun = time.perf_counter()
    async with site.running() as client:
        copy = await bring(client, site.adapter("The same weights."))
        tell(f"a gate of {_asked(copy)} cases took {json.loads(copy.report)['elapsed_s']:.0f} s")
        scaled = await bring(client, site.adapter("Three times as much.", factor=3.0))
        stranger = await bring(client, site.adapter("Medicine.", source="medical"))
        assert (copy.state, _fatal(copy)) == (RevisionState.APPROVED, set()), copy.findings
        for harmed in (scaled, stranger):
            assert harmed.state is RevisionState.REJECTED
            assert "WORSE_THAN_LIVE" in _fatal(harmed)
            (why,) = [
                finding.message
                for finding in harmed.findings
                if finding.reason == "WORSE_THAN_LIVE" and "loss" in finding.message
            ]
            assert site.own in why
            assert json.loads(harmed.report)["passed"] is False
            tell(f"refused: {why}")
        await client.adapters.publish(copy.name)
        answer = await client.chat(QUESTION, expert="legal", sampling=SAMPLING)
        assert [one.revision for one in answer.experts] == [copy.name]
    tell(f"three uploads, three gates and an answer took {time.perf_counter() - begun:.0f} s")


async def test_nobody_notices_that_adapters_are_replaced(
    lenient_site: EngineSite, tell: Tell
) -> None:
    """Eight clients stream on: none fails, and each answer is of the one that was live."""
    site = lenient_site
    async with site.running(**LENIENT) as client:
        first = await approved(client, site.adapter("Replaces what the folder has."))
        # Whose words are whose is seen by the words alone.
        second = await approved(client, site.adapter("Replaces it.", source="medical"))
        crowd = Crowd(
            forms={site.own: LAW, first: LAW, second: MEDICINE},
            admitting=frozenset((site.own,)),
        )
        async with crowd.streaming(client, CLIENTS):
            await crowd.more(CLIENTS)
            for name in (first, second):
                async with crowd.moving(name):
                    begun = time.perf_counter()
                    made = await client.adapters.publish(name)
                    tell(f"publication took {time.perf_counter() - begun:.3f} s")
                assert (made.label.live, made.revision.state) == (name, RevisionState.ACTIVE)
                await crowd.more(2 * CLIENTS)
            async with crowd.moving(first):
                begun = time.perf_counter()
                label = await client.adapters.rollback("legal", because="It talks of medicine.")
                took_s = time.perf_counter() - begun
            assert label.live == first
            await crowd.more(2 * CLIENTS)
            restored_s = crowd.started[first] - begun
        assert crowd.failed == []
        assert crowd.mixed == []
        assert crowd.answers >= 7 * CLIENTS
        tell(f"rollback took {took_s:.3f} s, its first answer began {restored_s:.3f} s after")
        tell(f"{crowd.answers} answers by {CLIENTS} clients, none failed, none mixed")
        # A machine that others use too may be ten times as slow as it is by itself.
        assert took_s < 10
        states = [(await client.adapters.get(name)).state for name in (first, second)]
        assert states == [RevisionState.ACTIVE, RevisionState.RETIRED]
        history = await client.adapters.history("legal")
        assert [change.action for change in history.changes] == ["rollback", "publish", "publish"]


async def test_a_canary_that_is_worse_goes_by_itself(lenient_site: EngineSite, tell: Tell) -> None:
    """Half of the answers come from an adapter that nobody should have let through: it goes."""
    site = lenient_site
    async with site.running(**LENIENT) as client:
        harmed = await approved(client, site.adapter("Learnt the wrong way round.", factor=HARM))
        made = await client.adapters.publish(harmed, canary_share=0.5)
        assert (made.label.live, made.label.canary) == (site.own, harmed)
        sampling = await parting(client, site.own, harmed)
        asked = 0

        async def ask_on() -> None:
            nonlocal asked
            while asked < MOST_ASKED and (await client.adapters.history("legal")).label.canary:
                asked += 1
                # Whose conversation it is decides by lot who answers.
                await client.chat(QUESTION, expert="legal", sampling=sampling, user=str(asked))

        async with anyio.create_task_group() as group:
            for _ in range(CLIENTS):
                group.start_soon(ask_on)
        tell(f"the canary was rolled back after {asked} answers")
        history = await client.adapters.history("legal")
        assert (history.label.live, history.label.canary) == (site.own, "")
        last = history.changes[0]
        assert (last.action, last.tenant, last.peer) == ("rollback", "", "")
        assert "clearly worse" in last.because
        assert (await client.adapters.get(harmed)).state is RevisionState.RETIRED
        answer = await client.chat(QUESTION, expert="legal", sampling=SAMPLING)
        assert [one.revision for one in answer.experts] == [site.own]


async def approved(client: AsyncClient, folder: Path) -> str:
    """Bring an adapter, make sure that the gate let it through, and give its name."""
    revision = await bring(client, folder)
    assert revision.state is RevisionState.APPROVED, revision.findings
    return revision.name


async def parting(client: AsyncClient, good: str, bad: str) -> Sampling:
    """Give values under which the bad revision has nothing to say, and the good one has.

    Words end where the bad one begins, whatever a small base model makes of it on this machine.
    """
    texts = []
    for name in (good, bad):
        answer = await client.chat(QUESTION, expert="legal", revision=name, sampling=SAMPLING)
        texts.append(answer.content)
    kept, refused = texts
    begun = next(refused[:n] for n in range(1, len(refused) + 1) if refused[:n] not in kept)
    return msgspec.structs.replace(SAMPLING, stop=(begun,))


def _fatal(revision: Revision) -> set[str]:
    return {finding.reason for finding in revision.findings if finding.fatal}


def _asked(revision: Revision) -> int:
    return len(json.loads(revision.report)["cases"])
