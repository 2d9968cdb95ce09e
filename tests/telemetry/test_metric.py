"""Metrics: what is written, is read, in every form."""

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tame_router.telemetry import instrument
from tame_router.telemetry.instrument import INSTRUMENTS
from tame_router.telemetry.instrument_kind import Instrument, Kind
from tame_router.telemetry.metric import Metrics
from tame_router.telemetry.recorder import EncoderState

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
MODELS = ("chat", "tame-router", "tame-auto", "legal")


@pytest.fixture
def metrics() -> Metrics:
    """Give metrics with one answer in them."""
    metrics = Metrics()
    metrics.add(instrument.CALLS, ("grpc", "Chat", "ok"))
    metrics.observe(instrument.FIRST_TOKEN_SECONDS, MODELS, 0.3, {"trace_id": TRACE})
    metrics.observe(instrument.FIRST_TOKEN_SECONDS, MODELS, 99)
    metrics.watch(instrument.AUDIT_QUEUE, lambda: 7)
    return metrics


def test_plain_text_is_what_old_readers_get(metrics: Metrics) -> None:
    """Without a wish for OpenMetrics the text is of version 0.0.4, and has no exemplar."""
    body, content_type = metrics.render("*/*")
    assert content_type.startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, sample.labels.get("le", "")): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert samples["tame_calls_total", ""] == 1
    assert samples["tame_audit_queue", ""] == 7
    assert samples["gen_ai_server_time_to_first_token_seconds_bucket", "0.5"] == 1
    assert samples["gen_ai_server_time_to_first_token_seconds_bucket", "+Inf"] == 2
    assert TRACE not in body.decode()
    assert not [name for name, _ in samples if name.endswith("_created")]


def test_open_metrics_show_a_trace(metrics: Metrics) -> None:
    """Whoever takes OpenMetrics finds the trace of one answer beside its bucket."""
    body, content_type = metrics.render(f"{OPEN},text/plain;version=0.0.4;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    exemplars = [
        sample.exemplar.labels
        for family in openmetrics.text_string_to_metric_families(body.decode())  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar
    ]
    assert exemplars == [{"trace_id": TRACE}]


def test_what_is_read_is_what_was_written(metrics: Metrics) -> None:
    """Series come under OpenTelemetry's names, with labels by theirs."""
    read = dict(metrics.read())
    assert set(read) == set(INSTRUMENTS)
    (calls,) = read[instrument.CALLS]
    assert calls.labels == {"edge": "grpc", "method": "Chat", "outcome": "ok"}
    assert calls.value == 1
    (first,) = read[instrument.FIRST_TOKEN_SECONDS]
    assert first.labels["gen_ai.response.model"] == "legal"
    assert first.value == pytest.approx(99.3)
    assert first.buckets[-1] == 2
    assert len(first.buckets) == len(instrument.FIRST_TOKEN_SECONDS.buckets) + 1


def test_a_reading_has_what_was_counted_before_it(metrics: Metrics) -> None:
    """What is counted while metrics are read breaks no reading; labels are there as text."""
    reading = iter(metrics.read())
    next(reading)
    metrics.add(instrument.CALLS, ("http", "chat", EncoderState.OFF), 2)
    counted = {series.labels["outcome"]: series.value for series in dict(reading)[instrument.CALLS]}
    assert counted == {"ok": 1, "off": 2}
    assert 'outcome="off"' in metrics.render("*/*")[0].decode()


def test_labels_that_are_missing_are_noticed(metrics: Metrics) -> None:
    """A metric is never counted under too few or too many labels."""
    with pytest.raises(ValueError, match=r"tame\.calls"):
        metrics.add(instrument.CALLS, ("grpc",))
    with pytest.raises(ValueError, match="time_to_first_token"):
        metrics.observe(instrument.FIRST_TOKEN_SECONDS, (), 1)


@pytest.mark.parametrize("one", INSTRUMENTS, ids=lambda one: one.name)
def test_every_metric_is_well_formed(one: Instrument) -> None:
    """A sentence of help; buckets, rising, where and only where there is a histogram."""
    assert one.help.endswith(".")
    assert (one.kind is Kind.HISTOGRAM) == bool(one.buckets)
    assert list(one.buckets) == sorted(set(one.buckets))
    assert "." not in one.prometheus_name
