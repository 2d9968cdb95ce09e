"""The registry of metrics: fast to write on the event loop, read as text or as samples.

The one module that knows prometheus_client. Why it, and not OpenTelemetry's metrics:
docs/adr/0017-telemetry.md.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from tame_router.telemetry.instrument import INSTRUMENTS, Instrument, Kind

TRACE_LABEL: Final = "trace_id"
"""Name of the exemplars' one label."""

# `_created` would be a third more series that nobody reads.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of one metric as it stood at a moment.

    Attributes:
        labels: By the attribute names of the instrument.
        value: Of a counter or a gauge; of a histogram its sum.
        buckets: Of a histogram: how many fell at or below each of its bounds, and into `+Inf`;
            each holds those before it.
    """

    labels: Mapping[str, str]
    value: float
    buckets: tuple[int, ...] = ()


class Metrics:
    """All metrics of one service. Written by one thread; read by any."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._families: dict[str, Any] = {
            instrument.name: self._family(instrument) for instrument in INSTRUMENTS
        }
        self._children: dict[tuple[str, tuple[str, ...]], Any] = {}
        ProcessCollector(registry=self._registry)

    def add(
        self,
        instrument: Instrument,
        labels: tuple[str, ...] = (),
        amount: float = 1,
        exemplar: dict[str, str] | None = None,
    ) -> None:
        """Count.

        Args:
            instrument: A counter.
            labels: Values, in the order of the instrument's labels.
            amount: How much, ≥ 0.
            exemplar: One trace this comes from; None: none.
        """
        self._child(instrument, labels).inc(amount, exemplar)

    def observe(
        self,
        instrument: Instrument,
        labels: tuple[str, ...],
        value: float,
        exemplar: dict[str, str] | None = None,
    ) -> None:
        """Put a value into a histogram; arguments as in `add`."""
        self._child(instrument, labels).observe(value, exemplar)

    def set(self, instrument: Instrument, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge."""
        self._child(instrument, labels).set(value)

    def watch(self, instrument: Instrument, read: Callable[[], float]) -> None:
        """Let a gauge without labels be read whenever metrics are."""
        self._child(instrument, ()).set_function(read)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Write all metrics as text.

        Args:
            accept: What the reader takes, as in HTTP's `Accept`: OpenMetrics, which alone holds
                exemplars, or else Prometheus' text format 0.0.4.

        Returns:
            The body and its content type.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def read(self) -> Iterable[tuple[Instrument, list[Series]]]:
        """Give all metrics of this service as they stand; those of the process are left out."""
        for instrument in INSTRUMENTS:
            (family,) = self._families[instrument.name].collect()
            names = dict(zip(instrument.prometheus_labels, instrument.labels, strict=True))
            if instrument.kind is Kind.HISTOGRAM:
                yield instrument, _histograms(family.samples, names)
            else:
                yield (
                    instrument,
                    [
                        Series(labels=_renamed(sample.labels, names), value=sample.value)
                        for sample in family.samples
                    ],
                )

    def _family(self, instrument: Instrument) -> Any:
        name, labels = instrument.prometheus_name, instrument.prometheus_labels
        if instrument.kind is Kind.HISTOGRAM:
            return Histogram(
                name, instrument.help, labels, registry=self._registry, buckets=instrument.buckets
            )
        make = Counter if instrument.kind is Kind.COUNTER else Gauge
        return make(name, instrument.help, labels, registry=self._registry)

    def _child(self, instrument: Instrument, labels: tuple[str, ...]) -> Any:
        # `labels()` of the library takes a lock and twice the time of this.
        key = (instrument.name, labels)
        child = self._children.get(key)
        if child is None:
            family = self._families[instrument.name]
            child = self._children[key] = family.labels(*labels) if labels else family
        return child


def _renamed(labels: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {names[label]: value for label, value in labels.items()}


def _histograms(samples: Iterable[Any], names: Mapping[str, str]) -> list[Series]:
    """Put the samples of each series of a histogram together again."""
    buckets: dict[tuple[str, ...], list[int]] = {}
    sums: dict[tuple[str, ...], float] = {}
    for sample in samples:
        key = tuple(sample.labels[label] for label in names)
        if sample.name.endswith("_bucket"):
            buckets.setdefault(key, []).append(int(sample.value))
        elif sample.name.endswith("_sum"):
            sums[key] = sample.value
    return [
        Series(
            labels=dict(zip(names.values(), key, strict=True)),
            value=sums[key],
            buckets=tuple(counts),
        )
        for key, counts in buckets.items()
    ]
