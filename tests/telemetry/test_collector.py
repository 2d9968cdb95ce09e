"""The collector that metrics and traces go to: its settings, losing it, its end."""

import json
import logging
import time

import pytest

from tame_router.config_access import TelemetrySettings
from tame_router.errors import ConfigError
from tame_router.telemetry import collector as collector_module
from tame_router.telemetry.collector import TIMEOUT_S, Contact
from tame_router.telemetry.otlp_trace import MAX_QUEUE, SpanSender
from tame_router.telemetry.telemetry import build_telemetry


def test_a_collector_that_comes_back_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """Losing and finding it are one line each, however many batches there were."""
    caplog.set_level(logging.INFO, "tame_router")
    contact = Contact("traces", "http://127.0.0.1:1")
    for delivered in (True, False, False, True, True):
        contact.tell(delivered=delivered)
    assert [record.getMessage() for record in caplog.records] == [
        "collector.lost",
        "collector.found",
    ]


@pytest.mark.parametrize("headers", ["x", "=y", "a=1,b", "ключ=1"])
def test_malformed_headers_are_a_fault(headers: str) -> None:
    """The message says what is expected, and never what the headers hold."""
    settings = TelemetrySettings.model_validate(
        {"otlp_endpoint": "http://127.0.0.1:1", "otlp_headers": headers}
    )
    with pytest.raises(ConfigError, match=r"telemetry\.otlp_headers") as raised:
        build_telemetry(settings, {})
    assert json.dumps(headers) not in str(raised.value)


def test_the_missing_sender_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the error says how to install it."""
    monkeypatch.setattr(collector_module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"tame-router\[otlp\]"):
        build_telemetry(TelemetrySettings(otlp_endpoint="http://127.0.0.1:1"), {})


def test_a_full_queue_does_not_hold_up_the_end() -> None:
    """With thousands of spans and nobody to take them, one batch is tried and the rest let go."""
    settings = TelemetrySettings(otlp_endpoint="http://127.0.0.1:9")
    sender = SpanSender(settings)
    for _ in range(MAX_QUEUE + 10):
        sender.tracer.start_span("x").end()
    begun = time.monotonic()
    sender.close()
    assert time.monotonic() - begun < 2 * TIMEOUT_S + 1
