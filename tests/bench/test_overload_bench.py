"""The run with more work than capacity, in short: nothing is lost, and nobody is crowded out."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench import limit_choice, overload, overload_model
from bench.overload_load import Caller, Tally, load, percentile
from bench.overload_plot import write_plot
from bench.overload_probe import Probed, probing
from tame_router import app
from tame_router.backends.queueing.limit import LimitRules
from tame_router.backends.queueing.queued import QueuedBackend
from tame_router.backends.queueing.spec import QueueSpec
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.config import Settings
from tame_router.errors import BackendOverloadedError
from tests.fakes.generations import generation, read
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Pace
from tests.router_fixture import changed, next_chat
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

PLACES = 4


async def test_every_answer_is_given_or_refused(settings: Settings, fake_vllm: FakeVllm) -> None:
    """Many times what the fake can write: what is asked is the seed's, and none of it is lost."""
    fake_vllm.slots.most = PLACES
    fake_vllm.pace = Pace(first_token_s=0.02, token_s=0.01, answer_tokens=8)
    queue = {"length": 8, "limit": {"start": 16, "min": 2, "max": 16, "wait_s": 0.02}}
    caller = Caller(rate=150, deadline_s=60)
    asked = []
    async with (
        app.running(changed(settings, local={"queue": queue})) as address,
        load(address, QUESTIONS["legal"][0]) as on,
    ):
        for _ in range(2):
            # From the first moment on: where the machine stands still, all ask at once.
            (tally,) = await on.offer([caller], seconds=1.2, settle_s=0, seed=1)
            assert tally.answered
            assert tally.answered + tally.refused == tally.asked, tally.errors
            assert len(tally.firsts_ms) == tally.answered
            asked.append(tally.asked)
    assert asked[0] == asked[1]
    assert fake_vllm.slots.taken == 0


async def test_refusals_are_timed_by_another_process(
    settings: Settings, fake_vllm: FakeVllm
) -> None:
    """Where there is no room each refusal is timed, and beside it a call that asks little."""
    fake_vllm.frozen = True
    queue = {"length": 0, "limit": {"start": 1, "min": 1, "max": 1}}
    text = QUESTIONS["legal"][0]
    async with (
        app.running(changed(settings, local={"queue": queue})) as address,
        load(address, text) as on,
        probing(address, text, "") as probe,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(on._ask(Caller(rate=1), Tally()))
        await next_chat(fake_vllm)
        probed = await probe.probe(settle_s=0.0, seconds=0.3)
        fake_vllm.frozen = False
    assert len(fake_vllm.chats) == 1
    assert len(probed.refusals_ms) == len(probed.health_ms) > 0
    assert min(probed.refusals_ms + probed.health_ms) > 0


def test_overload_is_simulated() -> None:
    """Ten times the capacity: the server is kept busy, and nobody that is let in waits long."""
    server = overload_model.SERVERS["the bench's"]
    figures = overload_model.run(server, seconds=20, seed=0)
    assert figures == overload_model.run(server, seconds=20, seed=0)
    assert figures["10x"] >= 0.9
    assert figures["10x_p99_ratio"] <= 2.0
    assert figures["modest_kept"] >= 0.6


async def test_a_greedy_tenant_takes_nothing_from_a_modest_one(fake_vllm: FakeVllm) -> None:
    """Of two tenants the one that asks one after the other gets every answer, at its share."""
    fake_vllm.slots.most = PLACES
    limit = LimitRules(start=PLACES, least=PLACES, most=PLACES)
    spec = QueueSpec(limit=limit, length=16, wait_s=1_000)
    backend = QueuedBackend(
        VllmBackend(VllmSpec(base_url=fake_vllm.base_url, base_model=BASE_MODEL)), spec
    )
    answered: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    over = asyncio.Event()

    async def ask(tenant: str) -> None:
        try:
            await read(backend, replace(generation(), tenant=tenant))
            answered[tenant] += 1
        except BackendOverloadedError:
            refused[tenant] += 1
            await asyncio.sleep(0)

    async def greedy() -> None:
        while not over.is_set():
            await ask("greedy")

    async def modest() -> None:
        for _ in range(40):
            await ask("modest")

    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(greedy())
        await modest()
        between = answered["greedy"]
        over.set()
    await backend.close()
    assert (answered["modest"], refused["modest"]) == (40, 0)
    assert refused["greedy"] > 0
    # While the modest one waits for one turn, every other place goes to the greedy one.
    assert 40 <= between <= 40 * 3 * PLACES


def test_figures_are_the_worst_of_all_offers() -> None:
    """What is promised is held against every offer above the usual one."""
    usual = Tally(asked=180, answered=180, firsts_ms=[100.0] * 180)
    over = Tally(asked=2_000, answered=190, refused=1_810, firsts_ms=[150.0] * 190)
    none = Probed(refusals_ms=[], health_ms=[])
    probed = Probed(refusals_ms=[2.0] * 600 + [4.0] * 400, health_ms=[1.0] * 1_000)
    rows = [overload.row(overload.USUAL, usual, none, 10), overload.row(10, over, probed, 10)]
    assert overload.figures(rows, (6.0, 5.4)) == {
        "goodput_at_10x": 19.0,
        "best_goodput": 19.0,
        "ttft_p99_ratio": 1.5,
        "refusal_ms_p99": 4.0,
        "refusal_ms_p50": 2.0,
        "health_ms_p99": 1.0,
        "modest_kept": 0.9,
    }


def test_a_run_that_was_too_short_tells_what_it_has() -> None:
    """Where nothing was answered to hold others against there is no ratio, and no error."""
    none = Probed(refusals_ms=[], health_ms=[])
    rows = [overload.row(factor, Tally(), none, 1) for factor in (overload.USUAL, 10)]
    told = overload.figures(rows, (0.0, 2.0))
    assert (told["ttft_p99_ratio"], told["modest_kept"]) == (None, None)


def test_percentiles() -> None:
    """Of a hundred values the 99th percentile is the last but none; of none it is 0."""
    assert percentile([float(value) for value in range(100)], 0.99) == 99
    assert percentile([], 0.5) == 0


def test_a_plot_is_written(tmp_path: Path) -> None:
    """The same figures make the same file."""
    files = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for file in files:
        write_plot(file, [(0.5, 0.5), (10, 1)], [(0.5, 100), (10, 200)])
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("make", [limit_choice.Gradient, limit_choice.Halving])
def test_other_limits_are_simulated_too(make: Callable[[], limit_choice.Limit]) -> None:
    """What was refused is measured as what was taken is."""
    busy, _ = limit_choice.measure(
        limit_choice.SERVERS["short answers"], make(), seconds=20, seed=1
    )
    assert 0 < busy <= 1.1
