"""Traces: a span for each call, one for what is asked of a backend, and their context in headers.

The one module that knows OpenTelemetry's API. Without its SDK no span is kept, and the
caller's context is passed on as it came.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    NoOpTracer,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Attribute = str | int | float | bool | tuple[str, ...]

PARENT_KEY: Final = "traceparent"
STATE_KEY: Final = "tracestate"
MAX_STATE_CHARS: Final = 512
"""Longest `tracestate` that is passed on; the standard asks for no more."""

_NOBODY: Final = Context()
_PROPAGATOR: Final = TraceContextTextMapPropagator()


def read_carrier(headers: Iterable[tuple[str, object]]) -> dict[str, str]:
    """Pick the trace's context out of headers or metadata, keys in lower case.

    Two `traceparent` contradict each other: there is none then.
    """
    carrier: dict[str, str] = {}
    for key, value in headers:
        if key == PARENT_KEY:
            if PARENT_KEY in carrier:
                return {}
            carrier[key] = str(value)
        elif key == STATE_KEY:
            carrier[key] = f"{carrier[key]},{value}" if key in carrier else str(value)
    if PARENT_KEY not in carrier:
        return {}
    if len(carrier.get(STATE_KEY, "")) > MAX_STATE_CHARS:
        del carrier[STATE_KEY]
    return carrier


class CallSpan:
    """A span, with what is needed to begin another below it.

    Args:
        tracer: Begins spans.
        span: OpenTelemetry's.
    """

    __slots__ = ("_facts", "_recording", "_span", "_tracer")

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span
        self._recording = span.is_recording()
        self._facts: dict[str, Attribute] = {}

    @property
    def kept(self) -> bool:
        """Whether anything put here is kept."""
        return self._recording

    @property
    def silent(self) -> bool:
        """Whether there is no trace at all: nothing is kept, and nothing carried on."""
        return self._span is INVALID_SPAN

    @property
    def trace_id(self) -> str:
        """Thirty-two hexadecimal digits; empty: the trace is kept nowhere."""
        return f"{self._span.get_span_context().trace_id:032x}" if self._recording else ""

    def rename(self, name: str) -> None:
        """Call it otherwise, once more is known."""
        if self._recording:
            self._span.update_name(name)

    def put(self, attributes: Mapping[str, Attribute]) -> None:
        """Note what is known; never the text of a question or an answer."""
        if self._recording:
            self._facts.update(attributes)

    def fail(self, reason: str) -> None:
        """Say that it went wrong, and why."""
        if self._recording:
            self._facts["error.type"] = reason
            self._span.set_status(Status(StatusCode.ERROR, reason))

    def end(self) -> None:
        """Say that it is over."""
        if self._span is INVALID_SPAN:
            return
        if self._facts:  # all at once: each time costs a lock
            self._span.set_attributes(self._facts)
        self._span.end()

    def child(self, name: str, attributes: Mapping[str, Attribute]) -> "CallSpan":
        """Begin a span for what is asked of someone else."""
        if self._span is INVALID_SPAN:
            return self
        context = set_span_in_context(self._span, _NOBODY)
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes)
        return CallSpan(self._tracer, span)

    def headers(self) -> dict[str, str]:
        """Give the headers that carry the trace on; empty: there is none."""
        carrier: dict[str, str] = {}
        if self._span is not INVALID_SPAN:
            _PROPAGATOR.inject(carrier, set_span_in_context(self._span, _NOBODY))
        return carrier


class Tracing:
    """Begins the spans of calls.

    Args:
        tracer: Of the SDK; None: nothing is kept.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._keeps = tracer is not None
        self._tracer = tracer or NoOpTracer()
        self._silent = CallSpan(self._tracer, INVALID_SPAN)

    def begin(
        self, name: str, carrier: Mapping[str, str], attributes: Mapping[str, Attribute]
    ) -> CallSpan:
        """Begin the span of a call.

        Args:
            name: What is called.
            carrier: What `read_carrier` found; what is malformed in it does not count.
            attributes: What is known.
        """
        if not carrier and not self._keeps:
            return self._silent
        context = _PROPAGATOR.extract(carrier, _NOBODY) if carrier else _NOBODY
        span = self._tracer.start_span(name, context, SpanKind.SERVER, attributes)
        return CallSpan(self._tracer, span)
