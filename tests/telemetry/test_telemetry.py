"""Telemetry as a whole: one trace from the caller to the engine, numbers at a collector."""

import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio.to_thread
import grpc
import pytest
from opentelemetry.proto.trace.v1 import trace_pb2

from tame_router import app
from tame_router.config import Settings
from tame_router.telemetry.telemetry import Telemetry, build_telemetry
from tame_router.v1 import chat_pb2, router_service_pb2, router_service_pb2_grpc
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Pace, Refuse
from tests.fallback_fixture import Servers
from tests.otlp_collector import OtlpCollector, attributes
from tests.router_fixture import changed
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
QUESTION = QUESTIONS["legal"][1]
Kind = trace_pb2.Span.SpanKind


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    """Give a collector that listens."""
    with OtlpCollector() as collector:
        yield collector


@pytest.fixture
async def traced(settings: Settings, collector: OtlpCollector) -> AsyncIterator[str]:
    """Give the address of a router that sends to the collector."""
    sections = {"otlp_endpoint": collector.endpoint, "otlp_headers": "x-team=tame, x-b=2"}
    async with app.running(changed(settings, telemetry=sections)) as address:
        yield address


def request(text: str = QUESTION) -> router_service_pb2.StreamChatRequest:
    """Give a request for an answer."""
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=text)
    return router_service_pb2.StreamChatRequest(messages=[message])


async def ask(address: str, *metadata: tuple[str, str]) -> None:
    """Ask by stream, with metadata, and read to the end."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = router_service_pb2_grpc.RouterServiceStub(channel)
        async for _ in stub.StreamChat(request(), metadata=metadata):
            pass


async def test_one_trace_from_the_caller_to_the_engine(
    traced: str, collector: OtlpCollector, fake_vllm: FakeVllm
) -> None:
    """The router's spans hang below the caller's, and the engine's will hang below ours."""
    await ask(traced, ("traceparent", PARENT), ("tracestate", "team=blue"))
    assert await until_spans(collector, 2)
    client, server = sorted(collector.spans, key=lambda span: span.kind, reverse=True)
    assert (server.kind, client.kind) == (Kind.SPAN_KIND_SERVER, Kind.SPAN_KIND_CLIENT)
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert server.parent_span_id.hex() == SPAN
    assert client.parent_span_id == server.span_id
    (received,) = fake_vllm.chats
    assert received.headers["traceparent"] == f"00-{TRACE}-{client.span_id.hex()}-01"
    assert received.headers["tracestate"] == "team=blue"
    assert collector.services == ["tame-router", "tame-router"]
    assert collector.metadata[0]["x-team"] == "tame"
    assert collector.metadata[0]["x-b"] == "2"


async def until_spans(collector: OtlpCollector, count: int) -> bool:
    """Wait, off the event loop, for so many spans."""
    return await anyio.to_thread.run_sync(collector.wait, lambda seen: len(seen.spans) >= count)


async def test_spans_say_what_happened_and_not_what_was_said(
    traced: str, collector: OtlpCollector, fake_vllm: FakeVllm
) -> None:
    """Names of the GenAI conventions and our own; no word of the question or the answer."""
    fake_vllm.text = "Sapphire umbrella."
    await ask(traced)
    assert await until_spans(collector, 2)
    client, server = sorted(collector.spans, key=lambda span: span.kind, reverse=True)
    facts = attributes(server)
    revision = facts["tame.revision"]
    assert server.name == "chat tame-auto"
    assert client.name == f"chat {revision}"
    assert server.parent_span_id == b""
    expected: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "tame-router",
        "gen_ai.request.model": "tame-auto",
        "gen_ai.response.model": revision,
        "gen_ai.response.finish_reasons": ["stop"],
        "tame.edge": "grpc",
        "tame.method": "StreamChat",
        "tame.expert": "legal",
        "tame.stage": "fast",
        "tame.reason": "MOST_PROBABLE",
        "tame.join": "single",
        "tame.tenant": "local",
    }
    assert {key: facts[key] for key in expected} == expected
    assert facts["gen_ai.usage.input_tokens"] > 0
    assert facts["gen_ai.usage.output_tokens"] == len(fake_vllm.text)
    assert 0 < facts["gen_ai.response.time_to_first_chunk"] < 10
    assert 0.5 < facts["tame.probability"] <= 1
    asked = attributes(client)
    assert asked["gen_ai.provider.name"] == "vllm"
    assert asked["gen_ai.request.model"] == revision
    assert asked["server.address"] == "127.0.0.1"
    told = b"".join(span.SerializeToString() for span in collector.spans)
    assert all(word.encode() not in told for word in [*QUESTION.split()[:3], "Sapphire"])


async def test_an_error_is_seen_in_the_trace(
    traced: str, collector: OtlpCollector, fake_vllm: FakeVllm
) -> None:
    """Both spans say that it went wrong and why, and how is left to the log."""
    fake_vllm.next(Refuse(status=500, body=b"{}"))
    with pytest.raises(grpc.aio.AioRpcError):
        await ask(traced, ("traceparent", PARENT))
    assert await until_spans(collector, 2)
    for span in collector.spans:
        assert span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
        assert attributes(span)["error.type"] == "BACKEND_FAILED"
        assert not span.events


async def test_a_trace_that_is_not_sampled_is_passed_on_so(
    traced: str, collector: OtlpCollector, fake_vllm: FakeVllm
) -> None:
    """The caller's choice not to be traced holds here and at the engine."""
    await ask(traced, ("traceparent", f"00-{TRACE}-{SPAN}-00"))
    await ask(traced)
    assert await until_spans(collector, 2)
    assert TRACE not in {span.trace_id.hex() for span in collector.spans}
    assert fake_vllm.chats[0].headers["traceparent"].startswith(f"00-{TRACE}-")
    assert fake_vllm.chats[0].headers["traceparent"].endswith("-00")


async def test_a_share_of_nothing_traces_those_who_ask(
    settings: Settings, collector: OtlpCollector
) -> None:
    """With sample_ratio 0 only callers that sample their own traces are traced."""
    sections = {"otlp_endpoint": collector.endpoint, "sample_ratio": 0.0}
    async with app.running(changed(settings, telemetry=sections)) as address:
        await ask(address)
        await ask(address, ("traceparent", PARENT))
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}


async def test_metrics_reach_the_collector(settings: Settings, collector: OtlpCollector) -> None:
    """At the latest when the router stops, its numbers have been sent, by OTLP's names."""
    sections = {"otlp_endpoint": collector.endpoint}
    async with app.running(changed(settings, telemetry=sections)) as address:
        await ask(address)
    calls = collector.metrics["tame.calls"].sum
    assert calls.is_monotonic
    assert [point.as_double for point in calls.data_points] == [1]
    first = collector.metrics["gen_ai.server.time_to_first_token"]
    (point,) = first.histogram.data_points
    assert first.unit == "s"
    assert point.count == sum(point.bucket_counts) == 1
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert {one.key for one in point.attributes} >= {"gen_ai.response.model"}
    assert collector.metrics["tame.build.info"].gauge.data_points[0].as_double == 1


async def test_without_a_collector_the_context_still_goes_on(
    address: str, fake_vllm: FakeVllm
) -> None:
    """Nothing is kept, and the engine gets the caller's context as it came; or none."""
    await ask(address, ("traceparent", PARENT))
    await ask(address, ("traceparent", "nonsense"))
    first, second = fake_vllm.chats
    assert first.headers["traceparent"] == PARENT
    assert "traceparent" not in second.headers


async def test_a_dead_collector_costs_nothing(
    settings: Settings, fake_vllm: FakeVllm, caplog: pytest.LogCaptureFixture
) -> None:
    """Answers come as before, the router stops in time, and the log says it once a signal."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with app.running(changed(settings, telemetry={"otlp_endpoint": endpoint})) as address:
            for _ in range(5):
                await ask(address)
            begun = time.monotonic()
        assert time.monotonic() - begun < 10
    lost = [record for record in caplog.records if record.getMessage() == "collector.lost"]
    assert sorted(record.__dict__["facts"]["signal"] for record in lost) == ["metrics", "traces"]
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Telemetry]:
    """Give the telemetry of routers that are built from now on."""
    found: list[Telemetry] = []

    def build(*arguments: Any) -> Telemetry:
        found.append(build_telemetry(*arguments))
        return found[-1]

    monkeypatch.setattr(app, "build_telemetry", build)
    return found


async def stub_of_nothing(channel: grpc.aio.Channel) -> bytes:
    """Call a method that there is not."""
    guess: Any = channel.unary_unary("/tame_router.v1.RouterService/Guess")
    answer: bytes = await guess(b"")
    return answer


def calls(telemetry: Telemetry) -> list[str]:
    """Give the counters of calls, as text."""
    lines = telemetry.render("")[0].decode().splitlines()
    return [line for line in lines if line.startswith("tame_calls_total")]


async def test_every_call_is_counted_by_its_end(
    built: list[Telemetry], settings: Settings, fake_vllm: FakeVllm
) -> None:
    """Answered, refused, left and never known: each is one call with one outcome."""
    fake_vllm.pace = Pace(first_token_s=60)
    async with (
        app.running(settings) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub = router_service_pb2_grpc.RouterServiceStub(channel)
        call = stub.StreamChat(request())
        await call.read()  # the decision: the router has begun
        call.cancel()
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Route(router_service_pb2.RouteRequest())
        await stub.Route(router_service_pb2.RouteRequest(messages=request().messages))
        with pytest.raises(grpc.aio.AioRpcError):
            await stub_of_nothing(channel)
    prefix = 'tame_calls_total{edge="grpc",method='
    assert sorted(calls(built[0])) == [
        f'{prefix}"Route",outcome="INVALID_REQUEST"}} 1.0',
        f'{prefix}"Route",outcome="ok"}} 1.0',
        f'{prefix}"StreamChat",outcome="cancelled"}} 1.0',
        f'{prefix}"other",outcome="UNIMPLEMENTED"}} 1.0',
    ]
    text = built[0].render("")[0].decode()
    assert "tame_calls_under_way 0.0" in text
    assert 'tame_tenant_answers_total{outcome="cancelled",tenant="local"} 1.0' in text


async def test_who_answers_for_another_has_a_span_of_its_own(
    servers: Servers, collector: OtlpCollector
) -> None:
    """The expert's says why it failed; the call's says what answered; the engine's hang below."""
    servers.kill()
    sections = {"telemetry": {"otlp_endpoint": collector.endpoint}}
    async with servers.asking({"expert": "general"}, sections=sections) as client:
        await client.chat(QUESTION)
    assert await until_spans(collector, 3)
    (server,) = [span for span in collector.spans if span.kind is Kind.SPAN_KIND_SERVER]
    clients = [span for span in collector.spans if span.kind is Kind.SPAN_KIND_CLIENT]
    facts = attributes(server)
    assert facts["tame.fallback"] == "expert"
    assert facts["tame.fallback.reason"] == "BACKEND_UNAVAILABLE"
    assert facts["gen_ai.response.model"] == "general"
    failed, wrote = sorted(clients, key=lambda span: span.start_time_unix_nano)
    assert attributes(failed)["error.type"] == "BACKEND_UNAVAILABLE"
    assert attributes(wrote)["tame.backend"] == "second"
    (received,) = servers.second.chats
    assert received.headers["traceparent"].split("-")[2] == wrote.span_id.hex()
