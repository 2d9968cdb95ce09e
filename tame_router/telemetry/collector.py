"""The OTLP collector, as one who sends to it sees it: where it is, and whether it listens."""

import logging
from importlib.util import find_spec
from typing import Final

from tame_router.config_access import TelemetrySettings
from tame_router.errors import ConfigError
from tame_router.telemetry import log

TIMEOUT_S: Final = 2.0
"""Longest time for one batch; it is also how much a dead collector can hold up the stop."""


def require_installed() -> None:
    """Check that what sends is installed.

    Raises:
        ConfigError: When it is not.
    """
    if find_spec("opentelemetry.sdk") is None or find_spec("opentelemetry.exporter") is None:
        raise ConfigError(
            "telemetry.otlp_endpoint needs the package opentelemetry-exporter-otlp-proto-grpc,"
            " which is not installed; install it with `pip install 'tame-router[otlp]'`"
        )


def read_headers(settings: TelemetrySettings) -> tuple[tuple[str, str], ...]:
    """Take the headers for the collector apart.

    Raises:
        ConfigError: When they are malformed; what they hold is not repeated.
    """
    headers = []
    for pair in filter(None, settings.otlp_headers.get_secret_value().split(",")):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip().isascii() or not name.strip():
            raise ConfigError(
                "telemetry.otlp_headers is malformed; expected `name=value`, several with commas"
                " between them"
            )
        headers.append((name.strip().lower(), value.strip()))
    return tuple(headers)


class Contact:
    """Says once in the log that a collector does not listen, and once that it does again.

    Args:
        signal: What is sent: `traces` or `metrics`.
        endpoint: Where to.

    Attributes:
        lost: The last batch did not arrive.
    """

    def __init__(self, signal: str, endpoint: str) -> None:
        self._signal = signal
        self._endpoint = endpoint
        self.lost = False
        # The library has its own words for it, on every try.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)

    def tell(self, *, delivered: bool) -> None:
        """Take note of how a batch fared."""
        if delivered is not self.lost:
            return
        self.lost = not delivered
        level = logging.WARNING if self.lost else logging.INFO
        name = "collector.lost" if self.lost else "collector.found"
        log.event(level, name, signal=self._signal, endpoint=self._endpoint)
