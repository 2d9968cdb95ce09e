"""The registry of metrics: fast to write on the event loop, read as text or as samples.

What is counted lies in plain numbers; prometheus_client, which no other module knows, writes
them as text when they are asked for. Its own counters take a lock and five times as long for
each change, and ten change with an answer. Why it, and not OpenTelemetry's metrics:
docs/adr/0017-telemetry.md.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from tame_router.telemetry.instrument import INSTRUMENTS
from tame_router.telemetry.instrument_kind import Instrument, Kind

TRACE_LABEL: Final = "trace_id"
"""Name of the exemplars' one label."""

_Labels = tuple[str, ...]


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


class _Number:
    """A counter or a gauge with its labels."""

    __slots__ = ("exemplar", "read", "value")

    def __init__(self) -> None:
        self.value = 0.0
        self.read: Callable[[], float] | None = None
        self.exemplar: Exemplar | None = None


class _Buckets:
    """A histogram with its labels: how many fell between each two of its bounds."""

    __slots__ = ("bounds", "counts", "exemplars", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.exemplars: dict[int, Exemplar] = {}


class Metrics:
    """All metrics of one service. Written by one thread; read by any.

    Args:
        process: Gives memory, CPU time and the like; None: those of this process.
    """

    def __init__(self, process: Collector | None = None) -> None:
        self._numbers: dict[str, dict[_Labels, _Number]] = {}
        self._histograms: dict[str, dict[_Labels, _Buckets]] = {}
        for instrument in INSTRUMENTS:
            if instrument.kind is Kind.HISTOGRAM:
                self._histograms[instrument.name] = {}
            else:
                # What has no labels is there, and 0, before anybody has counted.
                first: dict[_Labels, _Number] = {} if instrument.labels else {(): _Number()}
                self._numbers[instrument.name] = first
        self._registry = CollectorRegistry()
        self._registry.register(_Families(self))
        self._registry.register(process or ProcessCollector(registry=None))

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
        number = self._numbers[instrument.name].get(labels) or self._number(instrument, labels)
        number.value += amount
        if exemplar:
            number.exemplar = Exemplar(exemplar, amount, time.time())

    def observe(
        self,
        instrument: Instrument,
        labels: tuple[str, ...],
        value: float,
        exemplar: dict[str, str] | None = None,
    ) -> None:
        """Put a value into a histogram; arguments as in `add`."""
        found = self._histograms[instrument.name].get(labels)
        if found is None:
            found = _Buckets(instrument.buckets)
            self._histograms[instrument.name][_checked(instrument, labels)] = found
        place = bisect_left(found.bounds, value)
        found.counts[place] += 1
        found.sum += value
        if exemplar:
            found.exemplars[place] = Exemplar(exemplar, value, time.time())

    def set(self, instrument: Instrument, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge."""
        self._number(instrument, labels).value = float(value)

    def watch(
        self, instrument: Instrument, read: Callable[[], float], labels: tuple[str, ...] = ()
    ) -> None:
        """Let a gauge be read whenever metrics are; labels as in `add`."""
        self._number(instrument, labels).read = read

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

    def put(self, instrument: Instrument, series: Series) -> None:
        """Add what another router has to what is here.

        Args:
            instrument: The metric; a gauge that is `shared` is not added, the larger one stays.
            series: One of its series, as `read` gives them.
        """
        labels = tuple(series.labels[name] for name in instrument.labels)
        if instrument.kind is not Kind.HISTOGRAM:
            number = self._number(instrument, labels)
            both = (number.value, series.value)
            number.value = max(both) if instrument.shared else sum(both)
            return
        family = self._histograms[instrument.name]
        found = family.setdefault(_checked(instrument, labels), _Buckets(instrument.buckets))
        each = zip(series.buckets, (0, *series.buckets), strict=False)
        found.counts = [
            count + upto - before for count, (upto, before) in zip(found.counts, each, strict=True)
        ]
        found.sum += series.value

    def read(self) -> Iterable[tuple[Instrument, list[Series]]]:
        """Give all metrics of this service as they stand; those of the process are left out."""
        for instrument in INSTRUMENTS:
            names = instrument.labels
            if instrument.kind is Kind.HISTOGRAM:
                yield (
                    instrument,
                    [
                        Series(
                            labels=dict(zip(names, labels, strict=True)),
                            value=found.sum,
                            buckets=tuple(accumulate(found.counts)),
                        )
                        for labels, found in self.histograms(instrument)
                    ],
                )
            else:
                yield (
                    instrument,
                    [
                        Series(labels=dict(zip(names, labels, strict=True)), value=_value(number))
                        for labels, number in self.numbers(instrument)
                    ],
                )

    def numbers(self, instrument: Instrument) -> list[tuple[_Labels, _Number]]:
        """Give the series of a counter or a gauge; made at once, for another may write."""
        return list(self._numbers[instrument.name].items())

    def histograms(self, instrument: Instrument) -> list[tuple[_Labels, _Buckets]]:
        """Give the series of a histogram, likewise."""
        return list(self._histograms[instrument.name].items())

    def _number(self, instrument: Instrument, labels: _Labels) -> _Number:
        family = self._numbers[instrument.name]
        found = family.get(labels)
        if found is None:
            found = family[_checked(instrument, labels)] = _Number()
        return found


class _Families(Collector):
    """All metrics, as prometheus_client's encoders take them.

    Args:
        metrics: What is written.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Give them as they stand."""
        for instrument in INSTRUMENTS:
            family = Metric(instrument.prometheus_name, instrument.help, instrument.kind.value)
            if instrument.kind is Kind.HISTOGRAM:
                self._put_histograms(family, instrument)
            else:
                self._put_numbers(family, instrument)
            yield family

    def _put_numbers(self, family: Metric, instrument: Instrument) -> None:
        name = family.name + ("_total" if instrument.kind is Kind.COUNTER else "")
        for values, number in self._metrics.numbers(instrument):
            labels = dict(zip(instrument.prometheus_labels, values, strict=True))
            family.add_sample(name, labels, _value(number), exemplar=number.exemplar)

    def _put_histograms(self, family: Metric, instrument: Instrument) -> None:
        bounds = [_bound(bound) for bound in (*instrument.buckets, float("inf"))]
        for values, found in self._metrics.histograms(instrument):
            labels = dict(zip(instrument.prometheus_labels, values, strict=True))
            counts = list(accumulate(found.counts, initial=0.0))[1:]
            for place, (bound, count) in enumerate(zip(bounds, counts, strict=True)):
                exemplar = found.exemplars.get(place)
                family.add_sample(
                    family.name + "_bucket", {**labels, "le": bound}, count, exemplar=exemplar
                )
            family.add_sample(family.name + "_count", labels, counts[-1])
            family.add_sample(family.name + "_sum", labels, found.sum)


def _value(number: _Number) -> float:
    return float(number.read()) if number.read else number.value


def _bound(value: float) -> str:
    """Write a bound as Prometheus' readers know it: `1.0`, `+Inf`."""
    written: str = floatToGoString(value)  # type: ignore[no-untyped-call]
    return written


def _checked(instrument: Instrument, labels: _Labels) -> _Labels:
    """Give the labels of a new series as plain text.

    Raises:
        ValueError: When there are more or fewer than the instrument has.
    """
    if len(labels) != len(instrument.labels):
        raise ValueError(
            f"{instrument.name} has the labels {instrument.labels}, and {labels} came; give each"
        )
    return tuple(map(str, labels))
