"""Building the service: the trained router, the backends, and what stops a start."""

import logging
import multiprocessing
import os
import shutil
import signal
import threading
from pathlib import Path

import anyio
import pytest

from tame_router import app, local_engine
from tame_router.backends import building
from tame_router.backends.engine.process import ensure_key
from tame_router.backends.vllm.backend import VllmBackend
from tame_router.catalog.expert import Catalog
from tame_router.chat import Message, Role
from tame_router.client.async_client import AsyncClient
from tame_router.client.client import Client
from tame_router.config import Settings
from tame_router.config_backends import LitellmSettings, VllmSettings
from tame_router.errors import ArtefactError, CatalogError, ConfigError
from tame_router.telemetry import log
from tame_router.trained_router import build_router
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.router_fixture import changed
from tests.small_experts import QUESTIONS

LEGAL = Message(role=Role.USER, content=QUESTIONS["legal"][0])


def copied(settings: Settings, folder: Path) -> Settings:
    """Give settings with a copy of the experts and a state folder that a test may spoil."""
    source = settings.experts_dir.parent
    for name in ("experts", "adapters"):
        shutil.copytree(source / name, folder / name)
    paths = {"experts_dir": folder / "experts", "state_dir": folder / "state"}
    return settings.model_copy(update=paths)


def test_a_router_that_does_not_fit_its_experts_is_trained_anew(
    settings: Settings, catalog: Catalog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A new teaching line makes the artefact stale; it is made again, once, and says so."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    own = copied(settings, tmp_path)
    shutil.copytree(settings.state_dir, own.state_dir)
    lines = own.experts_dir / "legal" / "utterances.en.txt"
    lines.write_text(lines.read_text() + "what does the notary charge for a contract\n")
    for _ in range(2):
        router = build_router(own, app.build_catalog(own))
        assert router.route([LEGAL]).lead == "legal"
    (record,) = (record for record in caplog.records if record.message == "router.training")
    assert "other teaching material" in record.facts["because"]  # type: ignore[attr-defined]


def test_a_training_that_is_killed_is_told(settings: Settings, tmp_path: Path) -> None:
    """When the process that trains is killed the start ends with a reason, not a stack trace."""
    own = copied(settings, tmp_path)
    done = threading.Event()

    def kill() -> None:
        while not done.wait(0.01):
            for child in multiprocessing.active_children():
                child.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(ArtefactError, match=r"killed, .*run `tame router train`"):
            build_router(own, app.build_catalog(own))
    finally:
        done.set()
        killer.join()


def test_a_fallback_that_is_no_expert_stops_the_start(settings: Settings, catalog: Catalog) -> None:
    """The setting is named, and who there is."""
    wrong = changed(settings, routing={"fallback": "oracle"})
    with pytest.raises(ConfigError, match=r"routing\.fallback names 'oracle'.* legal, medical"):
        build_router(wrong, catalog)


@pytest.mark.anyio
async def test_who_cannot_answer_for_others_stops_the_start(settings: Settings) -> None:
    """Experts and backends that are not there are all named."""
    steps = [{"expert": "oracle"}, {"backend": "delphi"}]
    wrong = changed(settings, fallback={"steps": steps, "tenants": {"delphi": ["*"]}})
    with pytest.raises(ConfigError, match=r"'delphi' is configured[\s\S]*'oracle'[\s\S]*tenants"):
        async with app.running(wrong):
            pass


def test_teaching_lines_that_cannot_be_read_stop_the_start(
    settings: Settings, tmp_path: Path
) -> None:
    """A file that is not UTF-8 is named with its line."""
    own = copied(settings, tmp_path)
    (own.experts_dir / "legal" / "utterances.en.txt").write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(CatalogError, match=r"utterances\.en\.txt:2: .*UTF-8"):
        build_router(own, app.build_catalog(own))


def test_two_names_of_one_expert_stop_the_start(settings: Settings, tmp_path: Path) -> None:
    """A folder that says it is another expert is refused, with both."""
    own = copied(settings, tmp_path)
    shutil.copytree(own.experts_dir / "legal", own.experts_dir / "legal-copy")
    with pytest.raises(CatalogError, match=r"legal-copy/expert\.yaml:1: 'legal' is not") as caught:
        app.build_catalog(own)
    assert f"is that of {own.experts_dir / 'legal'}" in caught.value.message


@pytest.mark.anyio
async def test_each_kind_of_backend_is_built_from_its_section(fake_vllm: FakeVllm) -> None:
    """A vLLM server is spoken to directly; everything else goes by way of LiteLLM."""
    direct = building.build_backend(VllmSettings(base_url=fake_vllm.base_url), BASE_MODEL, "")
    assert isinstance(direct, VllmBackend)
    assert await direct.context_tokens() == fake_vllm.max_model_len
    await direct.close()
    section = LitellmSettings.model_validate(
        {"kind": "litellm", "base_model": "openai/tame", "context_tokens": 4096}
    )
    other = building.build_backend(section, section.base_model, "key")
    assert await other.context_tokens() == 4096
    await other.close()


@pytest.mark.anyio
async def test_a_key_in_a_file_reaches_the_backend(
    settings: Settings, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    """A key file is read at the start; one that is not there stops it."""
    fake_vllm.api_key = "s3cret"
    (tmp_path / "key").write_text("s3cret\n")
    keyed = changed(settings, local={"api_key_file": tmp_path / "key"})
    async with app.running(keyed) as address, AsyncClient(address, attempts=1) as client:
        assert (await client.chat(LEGAL.content)).content
    missing = changed(settings, local={"api_key_file": tmp_path / "nowhere"})
    with pytest.raises(ConfigError, match="api_key_file"):
        async with app.running(missing):
            pass


@pytest.mark.anyio
async def test_words_are_logged_only_for_those_who_ask(
    settings: Settings, fake_vllm: FakeVllm, caplog: pytest.LogCaptureFixture
) -> None:
    """`log.texts` is what decides whether question and answer are in the log."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    fake_vllm.text = "祕密的回答"
    for texts in (False, True):
        caplog.clear()
        told = changed(settings, log={"texts": texts})
        async with app.running(told) as address, AsyncClient(address, attempts=1) as client:
            await client.chat(LEGAL.content)
        everything = " ".join(str(vars(record)) for record in caplog.records)
        assert (LEGAL.content in everything) is texts
        assert (fake_vllm.text in everything) is texts
        assert "answer.finished" in everything


def test_the_service_runs_until_a_signal(settings: Settings, fake_vllm: FakeVllm) -> None:
    """It takes calls when it announces its address, and a signal ends it in good order."""
    heard: list[str] = []
    root, own = logging.getLogger(), log.LOGGER
    before = (list(root.handlers), root.level, own.level)

    def use(address: str) -> None:
        try:
            with Client(address) as client:
                heard.append(client.chat(LEGAL.content).content)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    threads: list[threading.Thread] = []

    def announce(address: str, http_address: str) -> None:
        threads.append(threading.Thread(target=use, args=(address,)))
        threads[0].start()

    try:
        app.run(settings, announce)
    finally:
        root.handlers[:], root.level, own.level = before
    threads[0].join()
    assert heard[0]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.anyio
async def test_the_address_is_known_before_the_first_call(settings: Settings) -> None:
    """Two routers on port 0 have two ports, and both serve."""
    async with app.running(settings) as one, app.running(settings) as two:
        assert one != two
        for address in (one, two):
            async with AsyncClient(address, attempts=1) as client:
                with anyio.fail_after(10):
                    assert (await client.route(LEGAL.content)).expert == "legal"


@pytest.mark.anyio
async def test_a_worker_knows_its_replicas_before_the_first_call(
    pooled: Settings, replicas: tuple[FakeVllm, ...]
) -> None:
    """Whose place it takes are sent home then: who calls must not wait for what they knew."""
    async with app.running(pooled, look_s=60):
        paths = [{one.path for one in fake.received} for fake in replicas]
    assert all({"/health", "/v1/models"} <= asked for asked in paths)


@pytest.mark.anyio
async def test_the_local_engines_key_is_found(
    settings: Settings, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    """A backend at the local engine's address uses the key that the engine was given."""
    port = int(fake_vllm.root_url.rpartition(":")[2])
    own = changed(settings, engine={"port": port}).model_copy(update={"state_dir": tmp_path})
    shutil.copytree(settings.state_dir, tmp_path, dirs_exist_ok=True)
    fake_vllm.api_key = ensure_key(tmp_path)
    async with app.running(own) as address, AsyncClient(address, attempts=1) as client:
        assert (await client.chat(LEGAL.content)).content


def test_the_local_engine_serves_the_live_adapters(settings: Settings, catalog: Catalog) -> None:
    """What is started is what the catalog would ask for, in a context that fits the machine."""
    asked = changed(settings, engine={"base_model": "someone/base", "max_model_len": 512})
    spec = local_engine.engine_spec(asked)
    live = {catalog.expert(name).live_revision for name in catalog.names} - {""}
    assert {name for name, _ in spec.adapters} == live
    assert (spec.served_name, spec.max_model_len) == ("base", 512)
    assert local_engine.engine_spec(settings).max_model_len in {
        local_engine.CPU_CONTEXT,
        local_engine.CUDA_CONTEXT,
    }
