"""Measure what telemetry costs an answer: numbers alone, spans that are not kept, spans that are.

Run `python bench/telemetry.py`; with `--json` the last line is one JSON object. The two
ways to keep numbers that docs/adr/0017-telemetry.md weighs are measured side by side.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from prometheus_client import CollectorRegistry, Counter, Histogram

from tame_router.audit.record import AuditRecord, Step
from tame_router.config_backends import VllmSettings
from tame_router.routing.decision import Decision, ExpertProbability, Join, Reason, Stage
from tame_router.telemetry.metric import Metrics
from tame_router.telemetry.recorder import Recorder
from tame_router.telemetry.trace import Tracing, read_carrier
from tame_router.telemetry.upstream import Upstream

ROUNDS = 5
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HEADERS = (
    ("user-agent", "grpc-python/1.85"),
    ("x-request-id", "0123456789abcdef"),
    ("authorization", "Bearer tame_0123456789abcdef"),
)

LEGAL = ExpertProbability(expert="legal", probability=0.93, relevance=0.9)
DECISION = Decision(
    experts=(LEGAL,),
    probabilities=(LEGAL,),
    stage=Stage.FAST,
    reason=Reason.MOST_PROBABLE,
    join=Join.SINGLE,
    language="en",
    elapsed_us=380,
)
RECORD = AuditRecord(
    answer_id="id-1",
    tenant="hospital",
    subject="key",
    method="api_key",
    edge="grpc",
    operation="chat",
    begin_time=datetime(2026, 1, 1, tzinfo=UTC),
    elapsed_s=1.2,
    outcome="ok",
    steps=(
        Step(
            expert="legal",
            revision="legal--0123456789abcdef",
            adapter_digest="",
            prompt_tokens=31,
            completion_tokens=200,
            finish_reason="stop",
        ),
    ),
    time_to_first_token_s=0.08,
)


class Nowhere(SpanExporter):
    """Takes spans and drops them: the sending thread's work is not an answer's."""

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        """Drop them."""
        return SpanExportResult.SUCCESS


def microseconds(work: Callable[[], object], times: int) -> float:
    """Give the CPU time of one run of this thread, the least of several rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.thread_time()
        for _ in range(times):
            work()
        best = min(best, time.thread_time() - begun)
    return best / times * 1e6


def one_answer(recorder: Recorder, headers: tuple[tuple[str, str], ...]) -> Callable[[], None]:
    """Give all that is recorded of one answer, as the edge and the desk record it."""

    def answer() -> None:
        recording = recorder.begin("grpc", "StreamChat", read_carrier(headers))
        recording.identified("hospital")
        recording.asked("id-1")
        recording.decided(DECISION, revision="legal--0123456789abcdef", backend="local")
        recording.answered(RECORD)
        recorder.finish(recording)

    return answer


def two_ways(times: int) -> dict[str, float]:
    """Measure one value written to one histogram and one counter, in both libraries."""
    provider = MeterProvider(metric_readers=[InMemoryMetricReader(), InMemoryMetricReader()])
    meter = provider.get_meter("bench")
    histogram, counter = meter.create_histogram("h", unit="s"), meter.create_counter("c")
    attributes = {"operation": "chat", "model": "legal"}
    registry = CollectorRegistry()
    child = Histogram("h", "h", ["operation", "model"], registry=registry).labels("chat", "legal")
    count = Counter("c", "c", ["operation", "model"], registry=registry).labels("chat", "legal")
    exemplar = {"trace_id": "0" * 32}
    found = {
        "otel_histogram_us": microseconds(lambda: histogram.record(1.2, attributes), times),
        "otel_counter_us": microseconds(lambda: counter.add(1, attributes), times),
        "prometheus_histogram_us": microseconds(lambda: child.observe(1.2), times),
        "prometheus_exemplar_us": microseconds(lambda: child.observe(1.2, exemplar), times),
        "prometheus_counter_us": microseconds(lambda: count.inc(), times),
    }
    provider.shutdown()
    return found


def answers(times: int) -> dict[str, float]:
    """Measure all that is recorded of one answer."""
    upstreams = {"local": Upstream.of(VllmSettings())}
    off = Recorder(Metrics(), upstreams=upstreams)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=2**16))
    kept = Recorder(Metrics(), Tracing(provider.get_tracer("bench")), upstreams=upstreams)
    traced = (*HEADERS, ("traceparent", PARENT))
    found = {
        "metrics_us": microseconds(one_answer(off, HEADERS), times),
        "passed_on_us": microseconds(one_answer(off, traced), times),
        "traced_us": microseconds(one_answer(kept, traced), times),
    }
    provider.shutdown()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5_000, help="Runs in a round.")
    parser.add_argument("--json", action="store_true", help="End with one JSON object.")
    arguments = parser.parse_args()
    found = {**two_ways(arguments.times), **answers(arguments.times)}
    found["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, value in found.items():
        print(f"{name:28}{value:8.2f}")
    if arguments.json:
        print(json.dumps({name: round(value, 2) for name, value in found.items()}))


if __name__ == "__main__":
    main()
