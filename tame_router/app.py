"""The one place where objects are built, and the life of the service."""

import asyncio
import gc
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import uvloop

from tame_router.admission.adapter_desk import AdapterDesk
from tame_router.admission.desk import Desk
from tame_router.admission.reception import Reception
from tame_router.answering.dispatch import Dispatch
from tame_router.answering.ensemble import Ensemble, require_judge
from tame_router.answering.fallback import FallbackPolicy, require_fallback
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.single import SingleJoin
from tame_router.answering.substitution import Substitution
from tame_router.api.admin_servicer import AdminServicer
from tame_router.api.expert_servicer import ExpertServicer
from tame_router.api.feedback_servicer import FeedbackServicer
from tame_router.api.grpc_server import GrpcServer
from tame_router.api.http_server import build_http
from tame_router.api.ports import Ports
from tame_router.api.registry_servicer import RegistryServicer
from tame_router.api.router_servicer import RouterServicer
from tame_router.audit.building import open_history
from tame_router.audit.usage_desk import UsageDesk
from tame_router.backends.building import build_backends, looked_at, queued_backends, watching
from tame_router.bookkeeping import open_books
from tame_router.catalog.expert import Catalog
from tame_router.catalog.founded import founded_dir, load_all
from tame_router.catalog.live import LiveCatalog
from tame_router.config import Settings
from tame_router.config_backends import LitellmSettings
from tame_router.domain_extension import DomainExtender
from tame_router.feedback.intake import Intake
from tame_router.identity.build import build_authenticator
from tame_router.identity.exposure import require_safe
from tame_router.local_engine import base_model_dir, base_models, store_url
from tame_router.registry.building import open_registry
from tame_router.telemetry import log
from tame_router.telemetry.recorder import EncoderState, Recorder
from tame_router.telemetry.telemetry import build_telemetry
from tame_router.tenancy.directory import Directory
from tame_router.tenancy.office import Office
from tame_router.trained_router import assemble, build_encoder, load_or_train, plan_lesson

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What ends the service in good order."""

LOOK_S: Final = 30.0
"""Longest time that a worker looks at its replicas before it takes calls from those before it."""


def build_catalog(settings: Settings) -> Catalog:
    """Read the experts, those that uploads have made among them.

    Raises:
        CatalogError: When any of them cannot be served.
    """
    return load_all(settings.experts_dir, founded_dir(settings.state_dir), base_models(settings))


@asynccontextmanager
async def running(
    settings: Settings,
    directory: Directory | None = None,
    announce_http: Callable[[str], None] = lambda _: None,
    settled: Callable[[], None] = lambda: None,
    look_s: float = 0.0,
) -> AsyncIterator[str]:
    """Run the service, and give its gRPC address.

    Leaving the context drains it: NOT_SERVING, no new call, answers under way finish
    within the grace, records are written, backends close.

    Args:
        settings: All settings.
        directory: Knows the tenants; None: the store, unless the service runs insecure.
        announce_http: Called with the address of the HTTP port, where there is one.
        settled: Called when what lasts has been loaded: at the start, and again, from another
            thread, with the encoder.
        look_s: Longest time for a look at all replicas before calls are taken; 0: callers who come
            sooner wait for it.

    Raises:
        ConfigError: When it cannot start with these settings.
        StoreUnavailableError: When tenants cannot be read.
    """
    begun = time.perf_counter()
    require_safe(settings)
    catalog = build_catalog(settings)
    async with AsyncExitStack() as stack:
        telemetry = build_telemetry(settings.telemetry, settings.backends)
        stack.push_async_callback(telemetry.close)
        recorder = telemetry.recorder
        worker = ThreadPoolExecutor(settings.routing.encoder.threads, thread_name_prefix="encoder")
        stack.callback(worker.shutdown, wait=False, cancel_futures=True)
        lesson = plan_lesson(settings, catalog)
        encoder = build_encoder(lesson)
        artefact = load_or_train(lesson, encoder)
        router = assemble(artefact, encoder, settings.routing, worker)
        backends = build_backends(settings, base_models(settings), recorder)
        for backend in backends.values():
            stack.push_async_callback(backend.close)
        await stack.enter_async_context(watching(backends))
        dispatch = Dispatch(queued_backends(settings, backends, recorder))
        require_judge(settings.joins, catalog)
        require_fallback(settings.fallback, catalog, settings.backends)
        substitution = Substitution(dispatch, _fallback_policy(settings))
        live = LiveCatalog(catalog)
        pipeline = Pipeline(
            live,
            router,
            SingleJoin(dispatch, substitution),
            Ensemble(dispatch, settings.joins),
            # Where others answer for a backend that is full, nobody is refused before it was asked.
            dispatch=None if settings.fallback.on_overload else dispatch,
            log_texts=settings.log.texts,
            guarding=settings.guard.simplified,
            substitution=substitution,
        )
        office = Office(
            settings.store, settings.state_dir, lambda: live.current.names, open_history
        )
        stack.push_async_callback(office.close)
        intake = Intake(settings.store, settings.state_dir)
        stack.push_async_callback(intake.close)
        usage = UsageDesk(settings)
        stack.push_async_callback(usage.close)
        books = await stack.enter_async_context(open_books(settings, recorder))
        registry = await stack.enter_async_context(
            open_registry(
                settings,
                base_models(settings),
                live,
                backends,
                DomainExtender(settings, encoder, worker),
                pipeline.adopt,
                store_url=store_url(settings),
                base_model_dir=base_model_dir(settings),
                observer=recorder,
            )
        )
        if not settings.server.insecure:
            directory = directory or await office.open_directory(settings.tenants)
        reception = Reception(build_authenticator(settings, directory), directory)
        stack.push_async_callback(reception.close)
        desk = Desk(
            live,
            pipeline,
            books,
            registry.witness,
            policy=router.policy,
            fallback=settings.fallback,
            max_answers=settings.server.max_answers,
            reserved_completion_tokens=settings.quota.reserved_completion_tokens,
        )
        grpc = GrpcServer(
            settings.server,
            reception,
            recorder,
            RouterServicer(desk, settings.limits),
            ExpertServicer(desk),
            FeedbackServicer(desk, intake, registry.witness),
            AdminServicer(office, usage.usage, usage.records),
            settings.tls,
            registry=RegistryServicer(AdapterDesk(registry, books.quota)),
        )
        ports = Ports(grpc, build_http(settings, desk, reception, telemetry), settings.server)
        if look_s:
            await looked_at(backends, look_s)
        addresses = await ports.open()
        if addresses.http:
            announce_http(addresses.http)
        settled()
        start_ms = round((time.perf_counter() - begun) * 1e3)
        log.event(
            logging.INFO,
            "server.started",
            address=addresses.grpc,
            http=addresses.http,
            experts=catalog.names,
            start_ms=start_ms,
        )
        # Loading the encoder takes a second; the first questions can do without.
        recorder.encoder(EncoderState.LOADING)
        worker.submit(router.warm).add_done_callback(
            partial(_report_warm, recorder, settings.routing.encoder.enabled, settled)
        )
        try:
            yield addresses.grpc
        finally:
            log.event(logging.INFO, "server.draining", grace_s=settings.server.grace_s)
            registry.end_watching()
            registry.witness.end()
            await ports.close()
    log.event(logging.INFO, "server.stopped")


def _fallback_policy(settings: Settings) -> FallbackPolicy:
    """Give the rules of who answers where a backend is gone, and which backends are providers'."""
    external = (
        name for name, section in settings.backends.items() if isinstance(section, LitellmSettings)
    )
    return FallbackPolicy(settings=settings.fallback, external=frozenset(external))


def _keep_for_good() -> None:
    """Take what start-up has made out of the garbage collector's rounds, which it would lengthen.

    That is the router, the catalog and the libraries: a twelfth of an answer's CPU time.
    """
    gc.collect()
    gc.freeze()


def _report_warm(
    recorder: Recorder, wanted: bool, settled: Callable[[], None], warmed: "Future[bool]"
) -> None:
    """Say in the log and the metrics that the encoder is loaded, or cannot be."""
    if warmed.cancelled():
        return
    settled()
    error = warmed.exception()
    if error:
        log.event(logging.ERROR, "encoder.failed", because=str(error))
        recorder.encoder(EncoderState.FAILED)
    elif warmed.result():
        log.event(logging.INFO, "encoder.ready")
        recorder.encoder(EncoderState.READY)
    else:
        recorder.encoder(EncoderState.OFF)
        if wanted:
            log.event(
                logging.WARNING,
                "encoder.absent",
                because="there is none yet, so questions are decided by words alone, less well;"
                " run `make encoder`, or set routing.encoder.model",
            )


def run(
    settings: Settings, announce: Callable[[str, str], None], lifeline: int | None = None
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP.

    Args:
        settings: All settings.
        lifeline: Descriptor of a pipe; once nobody holds its other end, this ends too. None: none.
        announce: Called with the addresses of gRPC and HTTP once calls are taken; the latter is
            empty where HTTP is switched off.

    Raises:
        ConfigError: When the service cannot start with these settings.
    """
    log.configure(settings.log)
    uvloop.run(_serve(settings, announce, lifeline))


def _cut(loop: asyncio.AbstractEventLoop, lifeline: int, stopping: asyncio.Event) -> None:
    """End the service: nothing is ever written to a lifeline, so what can be read is its end."""
    loop.remove_reader(lifeline)  # it can be read from now on, always
    stopping.set()


async def _serve(
    settings: Settings, announce: Callable[[str, str], None], lifeline: int | None
) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stopping.set)
    if lifeline is not None:
        loop.add_reader(lifeline, _cut, loop, lifeline, stopping)
    try:
        http: list[str] = []
        # A worker may take the place of one whose replicas are known.
        look_s = 0.0 if lifeline is None else LOOK_S
        async with running(
            settings, announce_http=http.append, settled=_keep_for_good, look_s=look_s
        ) as address:
            announce(address, "".join(http))
            await stopping.wait()
    finally:
        if lifeline is not None:
            loop.remove_reader(lifeline)
        for number in SIGNALS:
            loop.remove_signal_handler(number)
