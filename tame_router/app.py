"""The one place where objects are built, and the life of the service."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager

import uvloop

from tame_router import telemetry
from tame_router.answering.dispatch import Dispatch
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.single import SingleJoin
from tame_router.api.expert_servicer import ExpertServicer
from tame_router.api.feedback_servicer import FeedbackServicer
from tame_router.api.grpc_server import GrpcServer, host_port
from tame_router.api.router_servicer import RouterServicer
from tame_router.backends.backend import Backend
from tame_router.backends.base_model import BaseModel, choose_base_model, cuda_present
from tame_router.backends.engine import ensure_key
from tame_router.backends.engine_spec import EngineSpec
from tame_router.backends.vllm import VllmBackend, VllmSpec
from tame_router.catalog.expert import Catalog
from tame_router.catalog.loader import load_catalog
from tame_router.config import LitellmSettings, Settings, VllmSettings
from tame_router.config_file import secret
from tame_router.feedback.intake import Intake
from tame_router.trained_router import build_router

SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""What ends the service in good order."""

CPU_CONTEXT = 2_048
"""Tokens; the embedded base model knows 8,192, and a CPU has no memory to spare."""

CUDA_CONTEXT = 8_192
"""Tokens; the context of Llama-3-Taiwan."""


def build_catalog(settings: Settings) -> Catalog:
    """Read the experts.

    Raises:
        CatalogError: When any of them cannot be served.
    """
    return load_catalog(settings.experts_dir, base_models(settings))


def base_models(settings: Settings) -> dict[str, str]:
    """Give the name of the base model each backend serves."""
    local = engine_base_model(settings).served_name
    return {name: backend.base_model or local for name, backend in settings.backends.items()}


def engine_base_model(settings: Settings) -> BaseModel:
    """Give the base model of the local engine."""
    engine = settings.engine
    return choose_base_model(
        engine.base_model, engine.served_name, settings.state_dir, cuda=cuda_present()
    )


def engine_spec(settings: Settings) -> EngineSpec:
    """Say how the local engine is to be started, with the experts' live adapters.

    Raises:
        CatalogError: When an expert cannot be served.
    """
    engine, cuda = settings.engine, cuda_present()
    base_model = engine_base_model(settings)
    experts = build_catalog(settings).experts.values()
    return EngineSpec(
        python=engine.python,
        base_model=base_model.source,
        served_name=base_model.served_name,
        adapters=tuple((e.live.name, e.live.folder) for e in experts if e.live),
        host=engine.host,
        port=engine.port,
        tensor_parallel_size=engine.tensor_parallel_size,
        max_model_len=engine.max_model_len or (CUDA_CONTEXT if cuda else CPU_CONTEXT),
        max_loras=engine.max_loras,
        max_lora_rank=engine.max_lora_rank,
        extra_args=engine.extra_args,
        device="cuda" if cuda else "cpu",
        state_dir=settings.state_dir,
        log_path=settings.state_dir / "engine" / "engine.log",
    )


def _api_key(settings: Settings, section: VllmSettings | LitellmSettings) -> str:
    """Give a backend's key; for the local engine, where none is set, the one it makes."""
    given = secret(section.api_key, section.api_key_file)
    local = f"http://{settings.engine.host}:{settings.engine.port}/v1"
    if given or not isinstance(section, VllmSettings) or section.base_url.rstrip("/") != local:
        return given
    return ensure_key(settings.state_dir)


def build_backend(
    settings: VllmSettings | LitellmSettings, base_model: str, api_key: str
) -> Backend:
    """Build a backend from its section.

    Args:
        settings: Its section.
        base_model: The base model it serves.
        api_key: Its key; empty: none.
    """
    if isinstance(settings, LitellmSettings):
        from tame_router.backends.litellm import LitellmBackend, LitellmSpec

        return LitellmBackend(
            LitellmSpec(
                base_model=base_model,
                revision_model=settings.revision_model,
                api_base=settings.api_base,
                api_key=api_key,
                context_tokens=settings.context_tokens,
                first_token_timeout_s=settings.first_token_timeout_s,
                stall_timeout_s=settings.stall_timeout_s,
            )
        )
    return VllmBackend(
        VllmSpec(
            base_url=settings.base_url,
            base_model=base_model,
            api_key=api_key,
            connect_timeout_s=settings.connect_timeout_s,
            first_token_timeout_s=settings.first_token_timeout_s,
            stall_timeout_s=settings.stall_timeout_s,
            max_connections=settings.max_connections,
        )
    )


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[str]:
    """Run the service, and give its address.

    Leaving the context drains it: NOT_SERVING, no new call, answers under way finish
    within the grace, backends close.

    Raises:
        ConfigError: When it cannot start with these settings.
    """
    begun = time.perf_counter()
    catalog = build_catalog(settings)
    worker = ThreadPoolExecutor(settings.routing.encoder.threads, thread_name_prefix="encoder")
    router = build_router(settings, catalog, worker)
    intake = Intake(settings.store, settings.state_dir)
    names = base_models(settings)
    backends = {
        name: build_backend(section, names[name], _api_key(settings, section))
        for name, section in settings.backends.items()
    }
    pipeline = Pipeline(
        catalog, router, SingleJoin(Dispatch(backends)), log_texts=settings.log.texts
    )
    server = GrpcServer(
        settings.server,
        RouterServicer(pipeline, settings.limits, max_answers=settings.server.max_answers),
        ExpertServicer(catalog),
        FeedbackServicer(catalog, intake),
    )
    try:
        address = host_port(settings.server.host, await server.start())
        start_ms = round((time.perf_counter() - begun) * 1e3)
        telemetry.event(
            logging.INFO,
            "server.started",
            address=address,
            experts=catalog.names,
            start_ms=start_ms,
        )
        # Loading the encoder takes a second; the first questions can do without.
        worker.submit(router.warm).add_done_callback(_report_warm)
        try:
            yield address
        finally:
            telemetry.event(logging.INFO, "server.draining", grace_s=settings.server.grace_s)
            await server.stop()
    finally:
        for backend in backends.values():
            await backend.close()
        await intake.close()
        worker.shutdown(wait=False, cancel_futures=True)
    telemetry.event(logging.INFO, "server.stopped")


def _report_warm(warmed: "Future[bool]") -> None:
    """Say in the log that the encoder is loaded, or cannot be."""
    if warmed.cancelled():
        return
    error = warmed.exception()
    if error:
        telemetry.event(logging.ERROR, "encoder.failed", because=str(error))
    elif warmed.result():
        telemetry.event(logging.INFO, "encoder.ready")


def run(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: All settings.
        announce: Called with the address once calls are taken.

    Raises:
        ConfigError: When the service cannot start with these settings.
    """
    telemetry.configure(settings.log)
    uvloop.run(_serve(settings, announce))


async def _serve(settings: Settings, announce: Callable[[str], None]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stopping.set)
    try:
        async with running(settings) as address:
            announce(address)
            await stopping.wait()
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
