"""The recorder that edges begin calls with, and parts of the service report their state to."""

import enum
from collections.abc import Callable, Mapping
from typing import Final

from tame_router import __version__
from tame_router.telemetry import instrument
from tame_router.telemetry.call_recording import CallRecording, Ledger
from tame_router.telemetry.instrument_kind import Instrument
from tame_router.telemetry.metric import Metrics
from tame_router.telemetry.names import OTHER, Names
from tame_router.telemetry.recording import make_current
from tame_router.telemetry.trace import Tracing
from tame_router.telemetry.upstream import Upstream

MAX_METHODS: Final = 64
"""Methods that metrics name; this service has a quarter of that."""

MAX_WORDS: Final = 64
"""Reasons of refusals and names of limits, together."""

WOKEN_FOR: Final = (
    (instrument.ADAPTER_LABEL_MOVES, ("rollback", "router")),
    (instrument.ADAPTER_JOB_FAILURES, ("validate", "given_up")),
    (instrument.ADAPTER_JOB_FAILURES, ("evaluate", "given_up")),
    (instrument.ADAPTER_JOB_FAILURES, ("publish", "given_up")),
)
"""Series that are there, and 0, before anything is counted: an alert sees the very first one."""

_NO_UPSTREAMS: Final[Mapping[str, Upstream]] = {}


class EncoderState(enum.StrEnum):
    """What has become of the encoder."""

    OFF = "off"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class Recorder:
    """Writes spans and numbers of every call.

    Args:
        metrics: All metrics.
        tracing: Begins spans.
        tenants: Tenants that metrics name: the first that call.
        upstreams: Backends by name.
    """

    def __init__(
        self,
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
        *,
        tenants: int = 50,
        upstreams: Mapping[str, Upstream] = _NO_UPSTREAMS,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._tracing = tracing or Tracing()
        self._methods = Names(MAX_METHODS)
        self._under_way = 0
        self._ledger = Ledger(
            metrics=self._metrics,
            upstreams=upstreams,
            tenants=Names(tenants),
            words=Names(MAX_WORDS),
        )
        self._metrics.set(instrument.BUILD, (__version__,), 1)
        self._metrics.watch(instrument.UNDER_WAY, lambda: self._under_way)
        for counter, labels in WOKEN_FOR:
            self._metrics.add(counter, labels, 0)
        self.adapters_untrusted(0)

    def begin(self, edge: str, method: str, carrier: Mapping[str, str]) -> CallRecording:
        """Begin the recording of a call and make it the current one; `finish` must follow.

        Args:
            edge: `grpc` or `http`.
            method: The method or the route, as this service names it: never a caller's text.
            carrier: The trace's context; see `trace.read_carrier`.
        """
        method = self._methods.bounded(method)
        span = self._tracing.begin(method, carrier, {"tame.edge": edge, "tame.method": method})
        recording = CallRecording(self._ledger, span, edge, method)
        make_current(recording)
        self._under_way += 1
        return recording

    def finish(self, recording: CallRecording) -> None:
        """End the recording of a call."""
        self._under_way -= 1
        recording.end()

    def unknown(self, edge: str) -> None:
        """Count a call of a method that this service does not have."""
        self._metrics.add(instrument.CALLS, (edge, OTHER, "UNIMPLEMENTED"))

    def encoder(self, state: EncoderState) -> None:
        """Say what has become of the encoder."""
        for other in EncoderState:
            self._metrics.set(instrument.ENCODER_STATE, (other,), float(other is state))

    def failover(self, backend: str, why: str, how: str) -> None:
        """Count an answer that left a replica.

        Args:
            backend: Its backend, as the settings name it.
            why: How the replica failed it.
            how: `retried`, or `continued` where words had been given out.
        """
        self._metrics.add(instrument.FAILOVERS, (backend, why, how))

    def hedge(self, backend: str, outcome: str) -> None:
        """Count a first word that was late.

        Args:
            backend: Its backend, as the settings name it.
            outcome: What became of it: `first`, `second`, `neither` or `left` where a second
                replica was asked, `unpaid` or `no_room` where none was.
        """
        self._metrics.add(instrument.HEDGES, (backend, outcome))

    def replicas(self, backend: str, counts: Mapping[str, int]) -> None:
        """Say how many replicas of a backend are in each state."""
        for state, count in counts.items():
            self._metrics.set(instrument.REPLICAS, (backend, str(state)), float(count))

    def replicas_out(self, backend: str, counts: Mapping[str, int]) -> None:
        """Say how many replicas of a backend get no answers, by the reason."""
        for why, count in counts.items():
            self._metrics.set(instrument.REPLICAS_OUT, (backend, why), float(count))

    def queue_watched(
        self,
        backend: str,
        *,
        limit: Callable[[], float],
        under_way: Callable[[], float],
        queued: Callable[[], float],
    ) -> None:
        """Let the queue before a backend be read whenever metrics are.

        Args:
            backend: The backend, as the settings name it.
            limit: Gives how many answers it is given at once.
            under_way: Gives how many it has.
            queued: Gives how many wait.
        """
        self._metrics.watch(instrument.BACKEND_LIMIT, limit, (backend,))
        self._metrics.watch(instrument.BACKEND_UNDER_WAY, under_way, (backend,))
        self._metrics.watch(instrument.QUEUED, queued, (backend,))

    def queue_waited(self, backend: str, wait_s: float) -> None:
        """Count an answer that waited for its turn at a backend, and how long."""
        self._metrics.observe(instrument.QUEUE_SECONDS, (backend,), wait_s)

    def queue_refused(self, backend: str, why: str) -> None:
        """Count an answer that a queue refused: `length`, `wait` or `deadline`."""
        self._metrics.add(instrument.QUEUE_REFUSALS, (backend, why))

    def adapter_changed(self, state: str) -> None:
        """Count a step in an adapter's life, by the state after it."""
        self._metrics.add(instrument.ADAPTER_CHANGES, (state,))

    def adapter_label_moved(self, action: str, *, by_router: bool) -> None:
        """Count a move of an expert's label.

        Args:
            action: `publish`, `canary`, `rollback`, `shadow` or `prove`.
            by_router: Nobody asked for it.
        """
        by = "router" if by_router else "caller"
        self._metrics.add(instrument.ADAPTER_LABEL_MOVES, (action, by))

    def adapter_copied(self, outcome: str) -> None:
        """Count a copy for a shadow: `answered`, `failed` or `dropped`."""
        self._metrics.add(instrument.ADAPTER_COPIES, (outcome,))

    def adapter_corrupt(self) -> None:
        """Count a revision whose bytes are not what its digest says."""
        self._metrics.add(instrument.ADAPTER_CORRUPT)

    def adapters_untrusted(self, count: int) -> None:
        """Say how many revisions answer though their signature counts no more."""
        self._metrics.set(instrument.ADAPTERS_UNTRUSTED, (), float(count))

    def adapter_job_failed(self, kind: str, *, for_good: bool) -> None:
        """Count a job that failed.

        Args:
            kind: `validate`, `evaluate` or `publish`.
            for_good: It is not begun again.
        """
        outcome = "given_up" if for_good else "later"
        self._metrics.add(instrument.ADAPTER_JOB_FAILURES, (kind, outcome))

    def watch(self, gauge: Instrument, read: Callable[[], float]) -> None:
        """Let a gauge be read whenever metrics are.

        Args:
            gauge: `instrument.AUDIT_QUEUE` or `instrument.QUOTA_DEGRADED`.
            read: Gives its value; called from another thread too.
        """
        self._metrics.watch(gauge, read)
