"""What a metric is: its name in both spellings, its kind, its labels and its buckets."""

import enum
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One metric.

    Attributes:
        name: As OpenTelemetry spells it.
        kind: How it behaves.
        help: One sentence.
        labels: Attribute names, as OpenTelemetry spells them.
        unit: As in UCUM: `s` for seconds; `1` or braces: a plain number.
        buckets: Upper bounds of a histogram.
        shared: Of a gauge: routers on one port all have the same, so that it is not added up.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = "1"
    buckets: tuple[float, ...] = ()
    shared: bool = False

    @property
    def prometheus_name(self) -> str:
        """The name in the text exposition, without `_total`."""
        return self.name.replace(".", "_") + ("_seconds" if self.unit == "s" else "")

    @property
    def prometheus_labels(self) -> tuple[str, ...]:
        """The labels' names in the text exposition."""
        return tuple(label.replace(".", "_") for label in self.labels)
