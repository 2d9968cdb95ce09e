"""One trace id from the caller, through the router, to the real vLLM."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio.to_thread
import grpc
import pytest

from tame_router import app, local_engine
from tame_router.backends.engine.process import key_file, launch, stop, wait_ready
from tame_router.backends.engine.state import EngineState
from tame_router.config import Settings
from tame_router.v1 import chat_pb2, router_service_pb2, router_service_pb2_grpc
from tests.engine.conftest import ROOT, real_settings
from tests.otlp_collector import OtlpCollector, attributes
from tests.router_fixture import changed

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not list(ROOT.glob(".tame/engine/venv/lib/python3*/site-packages/opentelemetry/sdk")),
        reason="the engine's environment has no opentelemetry-sdk, without which vLLM cannot trace",
    ),
]

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ENGINE_SPAN = "llm_request"


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpCollector]:
    """Give a collector that router and engine send to."""
    with OtlpCollector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced_engine(
    collector: OtlpCollector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EngineState]:
    """Run a vLLM of its own that sends its spans, and stop it at the end whatever happens."""
    folder = tmp_path_factory.mktemp("traced-engine")
    spec = local_engine.engine_spec(real_settings())
    spec = replace(
        spec,
        port=0,
        state_dir=folder,
        log_path=folder / "engine.log",
        extra_args=(*spec.extra_args, "--otlp-traces-endpoint", collector.endpoint),
    )
    try:
        state = launch(spec)
        wait_ready(state, timeout_s=300)
        yield state
    finally:
        stop(folder)


@pytest.fixture
def traced_settings(traced_engine: EngineState, collector: OtlpCollector) -> Settings:
    """Give settings of a router that sends to the same collector."""
    key = key_file(Path(traced_engine.log_path).parent).read_text(encoding="ascii").strip()
    return changed(
        real_settings(),
        local={"base_url": traced_engine.base_url, "api_key": key},
        server={"port": 0, "grace_s": 20, "insecure": True},
        telemetry={"otlp_endpoint": collector.endpoint},
    )


async def test_the_engine_continues_the_callers_trace(
    traced_settings: Settings, collector: OtlpCollector
) -> None:
    """The engine's span hangs below the router's, and that below the caller's."""
    message = chat_pb2.Message(
        role=chat_pb2.ROLE_USER, content="My landlord keeps my deposit. What can I do?"
    )
    request = router_service_pb2.StreamChatRequest(
        messages=[message], sampling=chat_pb2.Sampling(max_tokens=8)
    )
    async with (
        app.running(traced_settings) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub = router_service_pb2_grpc.RouterServiceStub(channel)
        metadata = (("traceparent", f"00-{TRACE}-{SPAN}-01"),)
        async for _ in stub.StreamChat(request, metadata=metadata):
            pass
    arrived = partial(
        collector.wait,
        lambda seen: (
            any(span.name == ENGINE_SPAN for span in seen.spans) and "tame-router" in seen.services
        ),
        timeout_s=60,
    )
    assert await anyio.to_thread.run_sync(arrived)
    ours = [
        span
        for span, service in zip(collector.spans, collector.services, strict=True)
        if service == "tame-router"
    ]
    (server,) = [span for span in ours if span.parent_span_id.hex() == SPAN]
    (client,) = [span for span in ours if span.parent_span_id == server.span_id]
    (engine,) = [span for span in collector.spans if span.name == ENGINE_SPAN]
    assert {span.trace_id.hex() for span in (server, client, engine)} == {TRACE}
    assert engine.parent_span_id == client.span_id
    written = attributes(client)["gen_ai.usage.output_tokens"]
    assert 0 < written == attributes(engine)["gen_ai.usage.completion_tokens"]
