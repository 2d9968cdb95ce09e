"""A router whose replicas a file names: it is changed while answers are being written."""

import asyncio
from pathlib import Path

import pytest

from tame_router import app
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tests.fakes.vllm import FakeVllm
from tests.flows.test_failover import Answer, ask, page, write_alike
from tests.quota.poll import until
from tests.replica_fixture import HASTY
from tests.router_fixture import changed

pytestmark = pytest.mark.anyio

Fakes = tuple[FakeVllm, ...]
ANSWERS = 6


def write(path: Path, *fakes: FakeVllm) -> None:
    """Write the file anew."""
    path.write_text("".join(f"{fake.base_url}\n" for fake in fakes), encoding="utf-8")


async def told(address: str, line: str) -> None:
    """Wait until the router's metrics say something."""
    async with asyncio.timeout(10):
        while line not in await page(address, "/metrics"):
            pass


async def test_no_answer_is_cut(
    trained_settings: Settings, replicas: Fakes, tmp_path: Path
) -> None:
    """Answers of a replica that is taken out end there, whole; new ones go to those there are."""
    write_alike(replicas)
    first, second, coming = replicas
    path, found = tmp_path / "replicas", list[str]()
    write(path, first, second)
    rules = {**HASTY, "refresh_interval_s": 0.1, "metrics_interval_s": 0.1}
    settings = changed(trained_settings, local={"base_urls_file": path, "replicas": rules})
    async with (
        app.running(settings, announce_http=found.append) as address,
        AsyncClient(address, attempts=1) as client,
    ):
        uncut = await ask(client)
        leaving, staying = (first, second) if first.chats else (second, first)
        answers: list[Answer] = []

        async def one() -> None:
            answers.append(await ask(client))

        leaving.frozen = True
        async with asyncio.TaskGroup() as group:
            for _ in range(ANSWERS):
                group.create_task(one())
            await until(lambda: leaving.running > 0)
            write(path, staying, coming)
            await told(found[0], 'tame_replicas{backend="local",state="draining"} 1.0')
            await told(found[0], 'tame_replicas{backend="local",state="ready"} 2.0')
            asked = len(leaving.chats)
            leaving.frozen = False
        assert answers == [uncut] * ANSWERS
        await told(found[0], 'tame_replicas{backend="local",state="draining"} 0.0')
        assert await ask(client) == uncut
        assert 'tame_replicas_out{backend="local",why="draining"} 0.0' in await page(
            found[0], "/metrics"
        )
    assert len(leaving.chats) == asked
    assert staying.chats or coming.chats
