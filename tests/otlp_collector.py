"""A small OTLP/gRPC collector on a real port: it keeps the spans and metrics it is sent."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2,
    metrics_service_pb2_grpc,
)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2


class OtlpCollector:
    """The collector; a context manager that listens inside it.

    Args:
        port: Where it listens; 0: any free port.

    Attributes:
        spans: Every span that came, in order.
        services: Who sent each of them.
        metrics: The last state of each metric, by name.
        metadata: What came with each request.
    """

    def __init__(self, port: int = 0) -> None:
        self.spans: list[trace_pb2.Span] = []
        self.services: list[str] = []
        self.metrics: dict[str, metrics_pb2.Metric] = {}
        self.metadata: list[dict[str, str]] = []
        self._port = port
        self._arrived = threading.Condition()
        self._server = grpc.server(ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]
            _Traces(self), self._server
        )
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(  # type: ignore[no-untyped-call]
            _Metrics(self), self._server
        )

    @property
    def endpoint(self) -> str:
        """Its address, as `telemetry.otlp_endpoint` takes it."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> "OtlpCollector":
        """Listen."""
        self._port = self._server.add_insecure_port(f"127.0.0.1:{self._port}")
        self._server.start()
        return self

    def __exit__(self, *error: Any) -> None:
        """Stop."""
        self._server.stop(None).wait()

    def wait(self, enough: Callable[["OtlpCollector"], bool], timeout_s: float = 15) -> bool:
        """Wait until enough has arrived; False when it does not in time."""
        until = time.monotonic() + timeout_s
        with self._arrived:
            while not enough(self):
                left = until - time.monotonic()
                if left <= 0 or not self._arrived.wait(left):
                    return enough(self)
        return True

    def take_spans(self, request: trace_service_pb2.ExportTraceServiceRequest) -> None:
        """Keep spans."""
        with self._arrived:
            for one in request.resource_spans:
                named = {a.key: a.value.string_value for a in one.resource.attributes}
                for scope in one.scope_spans:
                    self.spans.extend(scope.spans)
                    self.services.extend([named.get("service.name", "")] * len(scope.spans))
            self._arrived.notify_all()

    def take_metrics(self, request: metrics_service_pb2.ExportMetricsServiceRequest) -> None:
        """Keep metrics."""
        with self._arrived:
            for one in request.resource_metrics:
                for scope in one.scope_metrics:
                    self.metrics.update({metric.name: metric for metric in scope.metrics})
            self._arrived.notify_all()


def attributes(span: trace_pb2.Span) -> dict[str, Any]:
    """Give a span's attributes as plain values; of a list, its texts."""
    return {one.key: _plain(one.value) for one in span.attributes}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    return getattr(value, kind)


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, collector: OtlpCollector) -> None:
        self._collector = collector

    def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        self._collector.metadata.append(_texts(context))
        self._collector.take_spans(request)
        return trace_service_pb2.ExportTraceServiceResponse()


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, collector: OtlpCollector) -> None:
        self._collector = collector

    def Export(
        self,
        request: metrics_service_pb2.ExportMetricsServiceRequest,
        context: grpc.ServicerContext,
    ) -> metrics_service_pb2.ExportMetricsServiceResponse:
        self._collector.metadata.append(_texts(context))
        self._collector.take_metrics(request)
        return metrics_service_pb2.ExportMetricsServiceResponse()


def _texts(context: grpc.ServicerContext) -> dict[str, str]:
    return {key: str(value) for key, value in context.invocation_metadata()}
