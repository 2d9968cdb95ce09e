"""What recordings keep of answers that another wrote in an expert's place."""

import pytest

from tame_router.errors import BackendSilentError
from tame_router.telemetry import instrument
from tame_router.telemetry.metric import Metrics
from tame_router.telemetry.recorder import Recorder
from tests.telemetry.facts import Answered, Decided, Stepped
from tests.telemetry.written import values


@pytest.fixture
def metrics() -> Metrics:
    """Give metrics that nothing was written to."""
    return Metrics()


@pytest.fixture
def recorder(metrics: Metrics) -> Recorder:
    """Give a recorder without a collector."""
    return Recorder(metrics)


def test_who_answers_for_another_is_counted_and_named(recorder: Recorder, metrics: Metrics) -> None:
    """Each hop under the expert, what was asked and why; times go under who wrote."""
    recording = recorder.begin("grpc", "Chat", {})
    recording.asked("id-1")
    recording.decided(Decided(), revision="legal--0123456789abcdef", backend="local")
    recording.fell_back(
        *("legal", "expert", "BACKEND_UNAVAILABLE"), expert="general", revision="", backend="second"
    )
    recording.answered(Answered(steps=(Stepped(), Stepped(revision=""))))
    recorder.finish(recording)
    labels = ("legal", "expert", "BACKEND_UNAVAILABLE")
    assert values(metrics, instrument.FALLBACKS) == {labels: 1}
    models = ("chat", "tame-router", "tame-auto", "general")
    assert values(metrics, instrument.ANSWER_SECONDS) == {(*models, ""): 1}


def test_who_was_told_to_have_left_is_not_counted_again(
    recorder: Recorder, metrics: Metrics
) -> None:
    """Where nobody answered for an expert, each was counted as it failed."""
    for facts in ({}, {"fallback_1": "base model: BACKEND_UNAVAILABLE"}):
        recording = recorder.begin("http", "chat", {})
        recording.failed(BackendSilentError("no", metadata=facts))
        recorder.finish(recording)
    assert values(metrics, instrument.BACKEND_ERRORS) == {("", "BACKEND_SILENT"): 1}
