"""What metrics hold, for tests to compare."""

from tame_router.telemetry.instrument_kind import Instrument
from tame_router.telemetry.metric import Metrics


def values(metrics: Metrics, one: Instrument) -> dict[tuple[str, ...], float]:
    """Give a metric's series: of a histogram, how many values each has."""
    (series,) = [found for known, found in metrics.read() if known is one]
    return {
        tuple(each.labels.values()): each.buckets[-1] if each.buckets else each.value
        for each in series
    }
