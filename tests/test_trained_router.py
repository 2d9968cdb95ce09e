"""The router of a service: loaded, or trained first, with an encoder or without."""

import logging
import shutil
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import grpc
import pytest

from tame_router import app
from tame_router.catalog.expert import Catalog
from tame_router.chat import Message, Role
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tame_router.errors import ConfigError
from tame_router.routing.artefact_folder import load_artefact, save_artefact
from tame_router.routing.decision import Stage
from tame_router.routing.onnx_encoder import GRAPH_FILE, OnnxEncoder
from tame_router.routing.sentence_encoder import SentenceEncoder
from tame_router.telemetry import log
from tame_router.telemetry.recorder import Recorder
from tame_router.trained_router import (
    EMBEDDED_ENCODER,
    assemble,
    build_encoder,
    build_router,
    plan_lesson,
    train_router,
)
from tests.fakes.tiny_encoder import write_tiny_encoder
from tests.router_fixture import changed
from tests.small_experts import QUESTIONS

LEGAL = Message(role=Role.USER, content=QUESTIONS["legal"][0])


def with_encoder(settings: Settings, state_dir: Path, **encoder: object) -> Settings:
    """Give settings with a state folder of their own and the encoder's section changed."""
    other = settings.model_copy(update={"state_dir": state_dir})
    return changed(other, routing={"encoder": encoder})


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    """Give settings of a service with a tiny encoder where `make encoder` puts the real one."""
    write_tiny_encoder(tmp_path / "state" / EMBEDDED_ENCODER)
    return with_encoder(settings, tmp_path / "state")


def test_which_encoder_there_is(own: Settings, catalog: Catalog, tmp_path: Path) -> None:
    """The embedded one where it was made, one's own where it is named, none where none is."""

    def encoder(**section: object) -> object:
        return build_encoder(plan_lesson(with_encoder(own, own.state_dir, **section), catalog))

    assert isinstance(encoder(), OnnxEncoder)
    assert encoder(enabled=False) is None
    assert isinstance(encoder(model="someone/encoder"), SentenceEncoder)
    write_tiny_encoder(tmp_path / "mine", seed=2)
    mine = encoder(model=str(tmp_path / "mine"))
    assert isinstance(mine, OnnxEncoder)
    assert mine.digest == OnnxEncoder(tmp_path / "mine").digest
    (tmp_path / "torch").mkdir()
    assert isinstance(encoder(model=str(tmp_path / "torch")), SentenceEncoder)
    shutil.rmtree(own.state_dir / EMBEDDED_ENCODER)
    assert encoder() is None


def test_a_lesson_names_folders_and_place(own: Settings, catalog: Catalog) -> None:
    """Every expert is taught from its folder, and the router lies in the state folder."""
    lesson = plan_lesson(own, catalog)
    assert {name: path.name for name, path in lesson.folders.items()} == {
        name: name for name in catalog.names
    }
    assert lesson.artefact_dir == own.state_dir / "router"


def test_a_router_is_trained_anew_when_the_encoder_changes(
    own: Settings, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    """An encoder that comes or goes makes the artefact stale, and the reason is logged."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    without = with_encoder(own, own.state_dir, enabled=False)
    train_router(plan_lesson(without, catalog), lambda _: None)
    for _ in range(2):
        router = build_router(own, catalog)
        assert router.route([LEGAL]).lead == "legal"
    (record,) = (record for record in caplog.records if record.message == "router.training")
    assert "was trained with no encoder" in record.facts["because"]  # type: ignore[attr-defined]
    assert any((own.state_dir / "router").glob("embeddings-*.safetensors"))
    artefact = load_artefact(own.state_dir / "router", catalog.names)
    assert artefact.dense
    assert router.warm()
    assert not assemble(artefact, None, own.routing).warm()


def test_the_encoder_looks_again_where_words_are_not_enough(
    own: Settings, catalog: Catalog
) -> None:
    """A router that believes no word asks its encoder, and one that believes any does not."""
    lesson = plan_lesson(own, catalog)
    artefact = train_router(lesson, lambda _: None)
    assert artefact.dense
    encoder = build_encoder(lesson)
    for confidence, stage in ((1.0, Stage.ENCODER), (0.0, Stage.FAST)):
        dense = replace(artefact.dense, confidence=confidence)
        never_two = replace(artefact.parameters, joint_threshold=1e6)
        changed_artefact = replace(artefact, dense=dense, parameters=never_two)
        router = assemble(changed_artefact, encoder, own.routing)
        assert router.route([LEGAL]).stage is stage


def damage(settings: Settings) -> Path:
    """Cut the encoder's graph in half, and give the encoder's folder."""
    folder = settings.state_dir / EMBEDDED_ENCODER
    graph = folder / GRAPH_FILE
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
    return folder


@pytest.mark.anyio
async def test_a_damaged_encoder_stops_the_start(own: Settings) -> None:
    """What cannot embed the lines is refused with its folder and what to do."""
    folder = damage(own)
    with pytest.raises(ConfigError, match=f"encoder in {folder} is damaged: .*`make encoder`"):
        async with app.running(own):
            pass


@pytest.mark.anyio
async def test_an_encoder_that_fails_later_is_logged_and_told(
    own: Settings, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that needs it gets a clean error, the log says why, and there is no stack trace."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    artefact = train_router(plan_lesson(own, catalog), lambda _: None)
    folder = damage(own)
    assert artefact.dense
    fits = replace(artefact.dense, encoder_digest=OnnxEncoder(folder).digest, confidence=1.0)
    save_artefact(replace(artefact, dense=fits), own.state_dir / "router")
    async with app.running(own) as address, AsyncClient(address, attempts=1) as client:
        with pytest.raises(ConfigError, match="request id") as raised:
            await client.route(LEGAL.content)
        assert (await client.route(LEGAL.content, expert="legal")).expert == "legal"
    cause = raised.value.__cause__
    assert isinstance(cause, grpc.aio.AioRpcError)
    assert cause.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert str(folder) not in raised.value.message
    events = {record.message: record for record in caplog.records}
    assert f"{folder} is damaged" in events["call.failed"].facts["message"]  # type: ignore[attr-defined]
    assert not any(record.exc_info for record in caplog.records)
    assert "encoder.ready" not in events
    assert f"{folder} is damaged" in events["encoder.failed"].facts["because"]  # type: ignore[attr-defined]


@pytest.mark.anyio
async def test_a_service_says_that_its_encoder_is_ready(
    own: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Once it is loaded the log says so, after the start, and answers come."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    async with app.running(own) as address, AsyncClient(address, attempts=1) as client:
        assert (await client.route(LEGAL.content)).expert == "legal"
        with anyio.fail_after(10):
            while "encoder.ready" not in (names := [r.message for r in caplog.records]):
                await anyio.lowlevel.checkpoint()
    assert names.index("server.started") < names.index("encoder.ready")


def test_a_warm_up_that_was_called_off_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """A service that ends before its encoder is loaded says nothing of it."""
    called_off: Future[bool] = Future()
    called_off.add_done_callback(partial(app._report_warm, Recorder(), True, lambda: None))
    assert called_off.cancel()
    assert caplog.records == []
