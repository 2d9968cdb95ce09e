"""One trace id from the caller, through the router, to the real vLLM."""

from functools import partial

import anyio.to_thread
import grpc
import pytest
from opentelemetry.proto.trace.v1 import trace_pb2

from tame_router import app
from tame_router.config import Settings
from tame_router.v1 import chat_pb2, router_service_pb2, router_service_pb2_grpc
from tests.engine.conftest import CAN_TRACE
from tests.otlp_collector import OtlpCollector, attributes
from tests.router_fixture import changed

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not CAN_TRACE,
        reason="the engine's environment has no opentelemetry-sdk, without which vLLM cannot trace",
    ),
]

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ENGINE_SPAN = "llm_request"


@pytest.fixture
def traced_settings(engine_settings: Settings, collector: OtlpCollector) -> Settings:
    """Give settings of a router that sends to the engine's collector."""
    return changed(
        engine_settings,
        server={"insecure": True},
        telemetry={"otlp_endpoint": collector.endpoint},
    )


def spans_of(collector: OtlpCollector) -> list[tuple[trace_pb2.Span, str]]:
    """Give the spans of the caller's trace, each with who sent it; others ask this engine too."""
    sent = zip(collector.spans, collector.services, strict=True)
    return [(span, service) for span, service in sent if span.trace_id.hex() == TRACE]


def whole(collector: OtlpCollector) -> bool:
    """Tell whether both have sent what they know of it."""
    spans = spans_of(collector)
    names, services = {span.name for span, _ in spans}, {service for _, service in spans}
    return ENGINE_SPAN in names and "tame-router" in services


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
    arrived = partial(collector.wait, whole, timeout_s=60)
    assert await anyio.to_thread.run_sync(arrived)
    spans = spans_of(collector)
    ours = [span for span, service in spans if service == "tame-router"]
    (server,) = [span for span in ours if span.parent_span_id.hex() == SPAN]
    (client,) = [span for span in ours if span.parent_span_id == server.span_id]
    (engine,) = [span for span, _ in spans if span.name == ENGINE_SPAN]
    assert engine.parent_span_id == client.span_id
    written = attributes(client)["gen_ai.usage.output_tokens"]
    assert 0 < written == attributes(engine)["gen_ai.usage.completion_tokens"]
