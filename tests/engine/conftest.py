"""One real vLLM for all tests of this folder, with the reference adapters."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.merged_ways import Merge, read_merge
from tame_router import app, local_engine
from tame_router.backends.engine.plugin import AdapterStore
from tame_router.backends.engine.process import key_file, launch, stop, wait_ready
from tame_router.backends.engine.state import EngineState
from tame_router.catalog.expert import Catalog
from tame_router.catalog.revision import Revision
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tame_router.config_file import load_settings
from tame_router.trained_router import build_router
from tests.engine.harmed_adapter import scale_adapter
from tests.otlp_collector import OtlpCollector
from tests.router_fixture import changed

ROOT = Path(__file__).resolve().parents[2]
EXPERTS = ("electronics", "legal", "manufacturing", "medical")
"""Whose revisions the engine loads by name."""

PAIR = "legal-medical"
"""An expert for what both are often asked about together; tests bring it."""

COPY = "legal--c0c0c0c0c0c0c0c0"
"""The legal adapter once more, under another name."""
BASE_MODEL = ROOT / ".tame/base_models/smollm2-135m-instruct"

START_TIMEOUT_S = 300

CAN_TRACE = bool(list(ROOT.glob(".tame/engine/venv/lib/python3*/site-packages/opentelemetry/sdk")))
"""Whether the engine's environment has what vLLM traces with."""


def real_settings() -> Settings:
    """Give the settings in force, with the base model that the tests know, on a GPU too."""
    return load_settings(given={"engine": {"base_model": str(BASE_MODEL), "max_model_len": 2048}})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything below this folder, and skip it where the engine is not installed."""
    installed = (ROOT / ".tame/engine/installed.json").exists() and BASE_MODEL.exists()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.timeout(600))
            if not installed:
                item.add_marker(pytest.mark.skip(reason="no engine here; run `make engine`"))


@pytest.fixture(scope="session")
def merge(tmp_path_factory: pytest.TempPathFactory) -> Merge:
    """Merge two reference adapters, by the recipe and the engine's own Python."""
    out = tmp_path_factory.mktemp("merged")
    python = real_settings().engine.python
    command = [str(python), "adapters/merge.py", "legal", "medical", "--method", "linear"]
    command += ["--no-losses", "--base-model", str(BASE_MODEL), "--out", str(out)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # several threads gain nothing here
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return read_merge(out / "legal+medical--linear")


@pytest.fixture(scope="session")
def harmed(tmp_path_factory: pytest.TempPathFactory) -> Revision:
    """Give the legal adapter with all that it adds made three times as large."""
    folder = tmp_path_factory.mktemp("harmed") / "legal"
    return scale_adapter(ROOT / "adapters/legal", folder, "legal", 3.0)


@pytest.fixture(scope="session")
def collector() -> Iterator[OtlpCollector]:
    """Give a collector that the engine sends its spans to; routers may too."""
    with OtlpCollector() as collector:
        yield collector


@pytest.fixture(scope="session")
def engine(
    tmp_path_factory: pytest.TempPathFactory,
    merge: Merge,
    harmed: Revision,
    collector: OtlpCollector,
) -> Iterator[EngineState]:
    """Run a vLLM on a free port, and stop it at the end whatever happens."""
    folder = tmp_path_factory.mktemp("engine")
    spec = local_engine.engine_spec(real_settings())
    legal = ROOT / "adapters/legal"
    merged = (merge.revision.name, merge.folder)
    added = (merged, (harmed.name, harmed.folder), (COPY, legal))
    spec = replace(
        spec,
        adapters=(*spec.adapters, *((name, folder) for name, folder in added if folder)),
        adapter_store=AdapterStore(
            url=str(folder / "store"), cache=folder / "copies", experts=(*EXPERTS, PAIR)
        ),
        # Rounded to bfloat16, the likeliest word depends on the CPU and on who is in the batch.
        dtype=spec.dtype if spec.device == "cuda" else "float32",
        otlp_endpoint=collector.endpoint if CAN_TRACE else "",
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


@pytest.fixture(scope="session")
def engine_key(engine: EngineState) -> str:
    """Give the key that the engine asks for."""
    return key_file(Path(engine.log_path).parent).read_text(encoding="ascii").strip()


@pytest.fixture(scope="session")
def engine_catalog() -> Catalog:
    """Give the real experts."""
    return app.build_catalog(real_settings())


@pytest.fixture(scope="session")
def engine_settings(engine: EngineState, engine_key: str) -> Settings:
    """Give settings of a router over the real experts, in front of the real vLLM."""
    settings = changed(
        real_settings(),
        local={"base_url": engine.base_url, "api_key": engine_key},
        server={"port": 0, "grace_s": 20, "insecure": True},
        http={"port": 0},
    )
    build_router(settings, app.build_catalog(settings))
    return settings


@pytest.fixture(scope="module")
async def engine_client(engine_settings: Settings) -> AsyncIterator[AsyncClient]:
    """Give a client of that router, one for all tests of a module: its encoder is large."""
    async with app.running(engine_settings) as address, AsyncClient(address) as client:
        yield client
