"""Recordings of calls: what they count, how they end, and how few series there are."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.config_backends import LitellmSettings, VllmSettings
from tame_router.errors import (
    BackendSilentError,
    NoExpertError,
    PermissionDeniedError,
    QuotaExceededError,
    TameError,
    UnauthenticatedError,
)
from tame_router.telemetry import instrument
from tame_router.telemetry.instrument_kind import Instrument, Kind
from tame_router.telemetry.metric import Metrics
from tame_router.telemetry.recorder import (
    MAX_METHODS,
    MAX_WORDS,
    EncoderState,
    Recorder,
)
from tame_router.telemetry.recording import Recording, current, refuse
from tame_router.telemetry.upstream import Upstream
from tests.telemetry.facts import Answered, Decided, Stepped
from tests.telemetry.written import values

TENANTS = 50


@pytest.fixture
def metrics() -> Metrics:
    """Give metrics that nothing was written to."""
    return Metrics()


@pytest.fixture
def recorder(metrics: Metrics) -> Recorder:
    """Give a recorder without a collector."""
    return Recorder(metrics, tenants=TENANTS)


def one_answer(recorder: Recorder, tenant: str = "hospital", **facts: Any) -> None:
    """Record one answer from its beginning to its end."""
    recording = recorder.begin("grpc", "Chat", {})
    recording.identified(tenant)
    recording.asked("id-1")
    recording.decided(Decided(), revision="legal--0123456789abcdef", backend="local")
    recording.answered(Answered(**facts))
    recorder.finish(recording)


def one_failure(recorder: Recorder, error: TameError, why: str = "") -> None:
    """Record a call that ends with an error before anything is decided."""
    recording = recorder.begin("http", "chat", {})
    if why:
        refuse(why)
    recording.failed(error)
    recorder.finish(recording)


def test_an_answer_leaves_its_numbers(recorder: Recorder, metrics: Metrics) -> None:
    """Calls, decision, times and tokens, each under the labels of the conventions."""
    one_answer(recorder)
    models = ("chat", "tame-router", "tame-auto", "legal")
    assert values(metrics, instrument.CALLS) == {("grpc", "Chat", "ok"): 1}
    assert values(metrics, instrument.DECISIONS) == {("legal", "fast", "MOST_PROBABLE"): 1}
    assert values(metrics, instrument.ANSWER_SECONDS) == {(*models, ""): 1}
    assert values(metrics, instrument.FIRST_TOKEN_SECONDS) == {models: 1}
    assert values(metrics, instrument.PER_TOKEN_SECONDS) == {models: 1}
    assert values(metrics, instrument.TOKENS) == {(*models, "input"): 1, (*models, "output"): 1}
    assert values(metrics, instrument.TENANT_TOKENS) == {
        ("hospital", "input"): 20,
        ("hospital", "output"): 11,
    }
    assert values(metrics, instrument.TENANT_ANSWERS) == {("hospital", "ok"): 1}


def test_the_time_per_token_is_that_after_the_first(recorder: Recorder, metrics: Metrics) -> None:
    """Ten tokens in the second after the first one: a tenth of a second each."""
    one_answer(recorder)
    (series,) = [found for known, found in metrics.read() if known is instrument.PER_TOKEN_SECONDS]
    assert series[0].value == pytest.approx(0.1)


def test_only_the_first_end_counts(recorder: Recorder, metrics: Metrics) -> None:
    """An answer that is told to have ended twice is counted once, as it ended first."""
    recording = recorder.begin("grpc", "Chat", {})
    recording.asked("id-1")
    recording.answered(Answered())
    recording.answered(Answered(outcome="cancelled"))
    recording.cancelled()
    recording.failed(NoExpertError("too late"))
    recorder.finish(recording)
    assert values(metrics, instrument.TENANT_ANSWERS) == {("", "ok"): 1}
    assert values(metrics, instrument.CALLS) == {("grpc", "Chat", "cancelled"): 1}


def test_a_route_is_no_answer(recorder: Recorder, metrics: Metrics) -> None:
    """A decision without an answer counts as a decision only, and nothing goes to a backend."""
    recording = recorder.begin("grpc", "Route", {})
    recording.decided(Decided())
    recorder.finish(recording)
    assert values(metrics, instrument.DECISIONS) != {}
    assert values(metrics, instrument.ANSWER_SECONDS) == {}
    assert recording.trace == {}


@pytest.mark.parametrize(
    ("error", "why", "one", "labels"),
    [
        (
            UnauthenticatedError("no"),
            "expired",
            instrument.IDENTITIES_REFUSED,
            ("http", "expired"),
        ),
        (
            PermissionDeniedError("no"),
            "",
            instrument.IDENTITIES_REFUSED,
            ("http", "permission_denied"),
        ),
        (
            QuotaExceededError("no", metadata={"limit": "requests_per_day"}),
            "",
            instrument.QUOTA_REFUSALS,
            ("requests_per_day",),
        ),
        (QuotaExceededError("no"), "", instrument.QUOTA_REFUSALS, ("unknown",)),
        (BackendSilentError("no"), "", instrument.BACKEND_ERRORS, ("", "BACKEND_SILENT")),
    ],
)
def test_a_refusal_is_counted_by_its_reason(
    recorder: Recorder,
    metrics: Metrics,
    error: TameError,
    why: str,
    one: Instrument,
    labels: tuple[str, ...],
) -> None:
    """Refused identities, limits and backends' errors have counters of their own."""
    one_failure(recorder, error, why)
    assert values(metrics, one) == {labels: 1}
    assert values(metrics, instrument.CALLS) == {("http", "chat", error.reason): 1}


@pytest.mark.parametrize(
    ("stage", "requested"), [("pinned", "legal"), ("fast", "tame-auto"), ("encoder", "tame-auto")]
)
def test_the_requested_model_is_ours_or_an_expert(
    recorder: Recorder, metrics: Metrics, stage: str, requested: str
) -> None:
    """A caller's text becomes a label only once it has proved to be an expert's name."""
    recording = recorder.begin("grpc", "Chat", {})
    recording.asked("id-1", pin="legal")
    recording.decided(Decided(stage=stage))
    recording.answered(Answered(outcome="BACKEND_SILENT", time_to_first_token_s=None, steps=()))
    recorder.finish(recording)
    (labels,) = values(metrics, instrument.ANSWER_SECONDS)
    assert labels == ("chat", "tame-router", requested, "legal", "BACKEND_SILENT")
    assert values(metrics, instrument.FIRST_TOKEN_SECONDS) == {}


def test_calls_under_way_are_seen(recorder: Recorder, metrics: Metrics) -> None:
    """What has begun and not ended is under way; whoever serves it finds its recording."""
    first, second = recorder.begin("grpc", "Chat", {}), recorder.begin("grpc", "Chat", {})
    assert values(metrics, instrument.UNDER_WAY) == {(): 2}
    assert current() is second
    recorder.finish(first)
    recorder.finish(second)
    assert values(metrics, instrument.UNDER_WAY) == {(): 0}


def test_states_are_shown(recorder: Recorder, metrics: Metrics) -> None:
    """The encoder is in one state; what is watched is read when metrics are."""
    recorder.encoder(EncoderState.LOADING)
    recorder.encoder(EncoderState.FAILED)
    states = values(metrics, instrument.ENCODER_STATE)
    assert [labels for labels, value in states.items() if value] == [("failed",)]
    waiting = [3]
    recorder.watch(instrument.AUDIT_QUEUE, lambda: waiting[0])
    waiting[0] = 4
    assert values(metrics, instrument.AUDIT_QUEUE) == {(): 4}


def test_without_a_call_nothing_is_kept() -> None:
    """A recording that no edge began takes every word and keeps none."""
    silent = Recording()
    silent.identified("x")
    silent.refused("x")
    silent.asked("x")
    silent.decided(Decided())
    silent.answered(Answered())
    silent.failed(NoExpertError("x"))
    silent.cancelled()
    assert silent.trace == {}


def series(metrics: Metrics) -> int:
    """Count the lines of the exposition that are series."""
    return sum(not line.startswith(b"#") for line in metrics.render("")[0].splitlines())


def test_strangers_cannot_make_series(recorder: Recorder, metrics: Metrics) -> None:
    """Ten thousand tenants, methods, limits and pins: the series stay within a stated bound."""
    draw = random.Random(4)
    before = series(metrics)
    for number in range(10_000):
        name = f"{draw.getrandbits(64):x}"
        one_answer(recorder, tenant=f"tenant-{name}")
        recording = recorder.begin("grpc", f"Bad{name}", {})
        recording.identified(f"tenant-{name}")
        recording.asked(name, pin=name)
        recording.answered(Answered(outcome="EXPERT_NOT_FOUND", steps=()))
        recording.failed(QuotaExceededError("no", metadata={"limit": name}))
        recorder.finish(recording)
        one_failure(recorder, UnauthenticatedError("no"), why=f"why-{number}")
        recorder.unknown("grpc")
    # Tenants and `other`: two outcomes and two kinds of tokens each.
    tenants = (TENANTS + 1) * (2 + 2)
    methods = (MAX_METHODS + 1) * 3
    words = 2 * (MAX_WORDS + 1)
    answers = 200  # histograms: buckets, sum and count of six series
    grown = series(metrics) - before
    assert grown <= tenants + methods + words + answers
    assert series(metrics) < 1000


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_no_name_breaks_the_exposition(tenant: str, method: str, limit: str) -> None:
    """Quotes and line breaks of strangers do no harm to what is read."""
    metrics = Metrics()
    recorder = Recorder(metrics)
    recording = recorder.begin("grpc", method, {})
    recording.identified(tenant)
    recording.failed(QuotaExceededError("no", metadata={"limit": limit}))
    recorder.finish(recording)
    assert metrics.render("application/openmetrics-text")[0].endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            VllmSettings(base_url="http://10.0.0.7:8100/v1"),
            {"gen_ai.provider.name": "vllm", "server.address": "10.0.0.7", "server.port": 8100},
        ),
        (
            VllmSettings(base_url_dns="http://engines:8100/v1"),
            {"gen_ai.provider.name": "vllm", "server.address": "engines", "server.port": 8100},
        ),
        (VllmSettings(base_urls_file=Path("replicas")), {"gen_ai.provider.name": "vllm"}),
        (
            LitellmSettings(kind="litellm", base_model="openai/x", api_base="https://a.example/v1"),
            {"gen_ai.provider.name": "openai", "server.address": "a.example", "server.port": 443},
        ),
        (
            LitellmSettings(kind="litellm", base_model="anthropic/y"),
            {"gen_ai.provider.name": "anthropic"},
        ),
    ],
)
def test_a_backend_is_named(
    settings: VllmSettings | LitellmSettings, expected: Mapping[str, Any]
) -> None:
    """Its provider, and where it is as far as that is known."""
    assert Upstream.of(settings).attributes() == expected


def test_steps_are_summed(recorder: Recorder, metrics: Metrics) -> None:
    """Tokens of several experts are one answer's."""
    one_answer(recorder, steps=(Stepped(), Stepped(prompt_tokens=5)))
    assert values(metrics, instrument.TENANT_TOKENS)["hospital", "input"] == 25
    assert instrument.TENANT_TOKENS.kind is Kind.COUNTER
