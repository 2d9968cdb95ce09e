"""Spans on their way to an OTLP collector: sampled, queued within bounds, sent in batches."""

from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Tracer

from tame_router import __version__
from tame_router.config_access import TelemetrySettings
from tame_router.telemetry.collector import TIMEOUT_S, Contact, read_headers

MAX_QUEUE: Final = 2048
"""Spans that may wait, 7 kB each; with more, the oldest are dropped."""

MAX_BATCH: Final = 512
SCHEDULE_MS: Final = 1000


def resource() -> Resource:
    """Say who sends."""
    return Resource.create({"service.name": "tame-router", "service.version": __version__})


class _Quiet(SpanExporter):
    """Sends batches, and says once when nobody listens.

    Attributes:
        closing: Try no further once a batch was lost: the service waits for the end.
    """

    def __init__(self, exporter: SpanExporter, contact: Contact) -> None:
        self._exporter = exporter
        self._contact = contact
        self.closing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.closing and self._contact.lost:
            return SpanExportResult.FAILURE
        result = self._exporter.export(spans)
        self._contact.tell(delivered=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class SpanSender:
    """Keeps spans and sends them.

    Args:
        settings: Where to, and how large a share.
    """

    def __init__(self, settings: TelemetrySettings) -> None:
        self._exporter = _Quiet(
            OTLPSpanExporter(
                endpoint=settings.otlp_endpoint,
                headers=read_headers(settings),
                timeout=TIMEOUT_S,
            ),
            Contact("traces", settings.otlp_endpoint),
        )
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.sample_ratio)),
            resource=resource(),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter,
                max_queue_size=MAX_QUEUE,
                max_export_batch_size=MAX_BATCH,
                schedule_delay_millis=SCHEDULE_MS,
            )
        )

    @property
    def tracer(self) -> Tracer:
        """What begins spans."""
        return self._provider.get_tracer("tame_router", __version__)

    def close(self) -> None:
        """Send what waits, and stop; blocks for a few seconds at most."""
        self._exporter.closing = True
        self._provider.shutdown()
