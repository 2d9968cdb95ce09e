"""Fixtures for tests that need a whole router: small experts, trained once, and a fake vLLM.

The router serves on a real port, and the fake answers on another; nothing is replaced.
"""

import shutil
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import grpc
import pytest
import yaml
from anyio.abc import TaskStatus

from tame_router import app
from tame_router.catalog.expert import Catalog
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tame_router.trained_router import plan_lesson, train_router
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Received
from tests.small_experts import write_experts


def changed(settings: Settings, **sections: dict[str, Any]) -> Settings:
    """Give settings with some values of some sections changed; `local` is the backend."""
    values = settings.model_dump()
    for section, changes in sections.items():
        target = values["backends"]["local"] if section == "local" else values[section]
        target.update(changes)
    return Settings.model_validate(values)


@pytest.fixture(scope="session", autouse=True)
async def _one_loop(anyio_backend: str) -> AsyncIterator[None]:
    """Keep one event loop for all tests: gRPC's late events would find theirs closed."""
    yield  # noqa: PT022 - the loop lives as long as this fixture


@pytest.fixture(scope="session")
def trained_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Give settings of a router that is trained on small experts, without a backend."""
    root = tmp_path_factory.mktemp("router")
    settings = Settings.model_validate(
        {
            "state_dir": root / "state",
            "experts_dir": write_experts(root),
            "server": {"port": 0, "grace_s": 5, "insecure": True},
            "http": {"port": 0},
            "backends": {"local": {"base_model": BASE_MODEL}},
            "log": {"format": "json"},
        }
    )
    train_router(plan_lesson(settings, app.build_catalog(settings)), lambda _: None)
    return settings


@pytest.fixture(scope="session")
def catalog(trained_settings: Settings) -> Catalog:
    """Give the small experts."""
    return app.build_catalog(trained_settings)


@pytest.fixture
def settings(
    trained_settings: Settings,
    catalog: Catalog,
    fake_vllm: FakeVllm,
    tmp_path_factory: pytest.TempPathFactory,
) -> Settings:
    """Give settings of a router in front of the fake vLLM, which knows all its adapters.

    Each test has a database of its own: one that a test has copied, or opened in another process,
    while a service of ours held it, is of no use to the next.
    """
    revisions = (catalog.expert(name).live_revision for name in catalog.names)
    fake_vllm.adapters = tuple(filter(None, revisions))
    state_dir = tmp_path_factory.mktemp("state")
    shutil.copytree(trained_settings.state_dir / "router", state_dir / "router")
    own = trained_settings.model_copy(update={"state_dir": state_dir})
    return changed(own, local={"base_url": fake_vllm.base_url})


@pytest.fixture
async def address(settings: Settings) -> AsyncIterator[str]:
    """Give the address of a router that serves."""
    async with app.running(settings) as address:
        yield address


@pytest.fixture
async def http_url(settings: Settings) -> AsyncIterator[str]:
    """Give the root of the HTTP port of a router that serves."""
    found: list[str] = []
    async with app.running(settings, announce_http=found.append):
        yield f"http://{found[0]}"


@pytest.fixture
async def client(address: str) -> AsyncIterator[AsyncClient]:
    """Give a client that does not try again."""
    async with AsyncClient(address, attempts=1) as client:
        yield client


@pytest.fixture
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """Give a bare channel, for bytes and metadata that the client would not send."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield channel


@pytest.fixture
def config_file(settings: Settings, tmp_path: Path) -> Path:
    """Give a configuration file with the same settings, for commands."""
    file = tmp_path / "tame.yaml"
    file.write_text(yaml.safe_dump(settings.model_dump(mode="json"), allow_unicode=True))
    return file


async def serve(settings: Settings, stop: anyio.Event, *, task_status: TaskStatus[str]) -> None:
    """Run a router in a task group: `await group.start(serve, settings, stop)` gives its address.

    It drains once `stop` is set, and ends when it has.
    """
    async with app.running(settings) as address:
        task_status.started(address)
        await stop.wait()


async def next_chat(fake: FakeVllm) -> Received:
    """Wait for the next request for an answer that reaches the fake."""
    while True:
        received = await anyio.to_thread.run_sync(partial(fake.inbox.get, timeout=10))
        if received.path == "/v1/chat/completions":
            return received


async def happened(event: threading.Event) -> bool:
    """Wait for what a fake's thread tells; False when it does not happen in ten seconds."""
    return await anyio.to_thread.run_sync(event.wait, 10)
