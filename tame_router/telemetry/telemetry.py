"""All of telemetry, put together from its settings."""

import asyncio
from collections.abc import Callable, Mapping

from tame_router.config_access import TelemetrySettings
from tame_router.config_backends import BackendSettings
from tame_router.telemetry.collector import require_installed
from tame_router.telemetry.metric import Metrics
from tame_router.telemetry.metrics_pool import MetricsPool
from tame_router.telemetry.recorder import Recorder
from tame_router.telemetry.trace import Tracing
from tame_router.telemetry.upstream import Upstream


class Telemetry:
    """What records calls, what shows the numbers, and what sends both away.

    Args:
        recorder: Records calls.
        render: Writes what it counted as text; see `Metrics.render`.
        closers: Send what waits, and stop; each blocks for a few seconds at most.

    Attributes:
        recorder: Records calls.
    """

    def __init__(
        self,
        recorder: Recorder,
        render: Callable[[str], tuple[bytes, str]],
        closers: tuple[Callable[[], None], ...] = (),
    ) -> None:
        self.recorder = recorder
        self._render = render
        self._closers = closers

    def render(self, accept: str) -> tuple[bytes, str]:
        """Write all metrics as text; see `Metrics.render`.

        It takes milliseconds: a busy edge calls it in a thread.
        """
        return self._render(accept)

    async def close(self) -> None:
        """Send what waits, and stop."""
        async with asyncio.TaskGroup() as group:
            for closer in self._closers:
                group.create_task(asyncio.to_thread(closer))


def build_telemetry(
    settings: TelemetrySettings, backends: Mapping[str, BackendSettings]
) -> Telemetry:
    """Put telemetry together; nothing is sent, and no SDK loaded, without a collector.

    Args:
        settings: Its section.
        backends: The backends' sections, by name.

    Raises:
        ConfigError: When a collector is named and what sends is not installed, or its headers
            are malformed.
    """
    metrics, tracing = Metrics(), Tracing()
    closers: list[Callable[[], None]] = []
    if settings.otlp_endpoint:
        require_installed()
        # The SDK takes a quarter of a second to load, and only senders need it.
        from tame_router.telemetry.otlp_metric import MetricSender
        from tame_router.telemetry.otlp_trace import SpanSender

        spans = SpanSender(settings)
        tracing = Tracing(spans.tracer)
        closers = [spans.close, MetricSender(metrics, settings).close]
    render = metrics.render
    if settings.metrics_pool:
        pool = MetricsPool(metrics, settings.metrics_pool)
        render = pool.render
        closers.append(pool.close)
    upstreams = {name: Upstream.of(section) for name, section in backends.items()}
    recorder = Recorder(metrics, tracing, tenants=settings.metrics_tenants, upstreams=upstreams)
    return Telemetry(recorder, render, tuple(closers))
