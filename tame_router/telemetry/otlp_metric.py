"""Metrics on their way to an OTLP collector: read from the registry now and then, and sent."""

import threading
import time
from collections.abc import Iterable
from typing import Final

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tame_router import __version__
from tame_router.config_access import TelemetrySettings
from tame_router.telemetry.collector import TIMEOUT_S, Contact, read_headers
from tame_router.telemetry.instrument_kind import Instrument, Kind
from tame_router.telemetry.metric import Metrics, Series
from tame_router.telemetry.otlp_trace import resource

INTERVAL_S: Final = 15.0


class MetricSender:
    """Sends all metrics in a thread of its own.

    Args:
        metrics: What is sent.
        settings: Where to.
        interval_s: Time between two sendings, > 0.
    """

    def __init__(
        self, metrics: Metrics, settings: TelemetrySettings, interval_s: float = INTERVAL_S
    ) -> None:
        self._metrics = metrics
        self._exporter = OTLPMetricExporter(
            endpoint=settings.otlp_endpoint,
            headers=read_headers(settings),
            timeout=TIMEOUT_S,
        )
        self._contact = Contact("metrics", settings.otlp_endpoint)
        self._begun_ns = time.time_ns()
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send once more, and stop; blocks for a few seconds at most."""
        self._stopping.set()
        self._thread.join()
        self._exporter.shutdown()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(self._interval_s)
            data = gather(self._metrics, self._begun_ns, time.time_ns())
            self._contact.tell(delivered=self._exporter.export(data) is MetricExportResult.SUCCESS)


def gather(metrics: Metrics, begun_ns: int, now_ns: int) -> MetricsData:
    """Put all metrics into OpenTelemetry's form.

    Args:
        metrics: What is read.
        begun_ns: When counting began, in nanoseconds of Unix time.
        now_ns: The moment of reading, likewise.
    """
    found = [
        Metric(
            name=instrument.name,
            description=instrument.help,
            unit=instrument.unit,
            data=_data(instrument, series, begun_ns, now_ns),
        )
        for instrument, series in metrics.read()
        if series
    ]
    scope = ScopeMetrics(
        scope=InstrumentationScope("tame_router", __version__), metrics=found, schema_url=""
    )
    return MetricsData(
        resource_metrics=[
            ResourceMetrics(resource=resource(), scope_metrics=[scope], schema_url="")
        ]
    )


def _data(
    instrument: Instrument, series: Iterable[Series], begun_ns: int, now_ns: int
) -> Sum | Gauge | Histogram:
    if instrument.kind is Kind.HISTOGRAM:
        return Histogram(
            data_points=[_histogram(instrument, one, begun_ns, now_ns) for one in series],
            aggregation_temporality=AggregationTemporality.CUMULATIVE,
        )
    points = [
        NumberDataPoint(
            attributes=dict(one.labels),
            start_time_unix_nano=begun_ns,
            time_unix_nano=now_ns,
            value=one.value,
        )
        for one in series
    ]
    if instrument.kind is Kind.GAUGE:
        return Gauge(data_points=points)
    return Sum(
        data_points=points,
        aggregation_temporality=AggregationTemporality.CUMULATIVE,
        is_monotonic=True,
    )


def _histogram(
    instrument: Instrument, series: Series, begun_ns: int, now_ns: int
) -> HistogramDataPoint:
    # OTLP counts each bucket alone; the registry counts all up to each bound.
    below = (0, *series.buckets[:-1])
    return HistogramDataPoint(
        attributes=dict(series.labels),
        start_time_unix_nano=begun_ns,
        time_unix_nano=now_ns,
        count=series.buckets[-1],
        sum=series.value,
        bucket_counts=[upto - less for upto, less in zip(series.buckets, below, strict=True)],
        explicit_bounds=list(instrument.buckets),
        min=None,  # type: ignore[arg-type]  # not known, which OTLP allows
        max=None,  # type: ignore[arg-type]
    )
