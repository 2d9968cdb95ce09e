"""What a recorder tells of adapters."""

import pytest

from tame_router.telemetry import instrument
from tame_router.telemetry.metric import Metrics
from tame_router.telemetry.recorder import WOKEN_FOR, Recorder
from tests.telemetry.written import values


@pytest.fixture
def metrics() -> Metrics:
    """Give metrics that nothing was written to."""
    return Metrics()


@pytest.fixture
def recorder(metrics: Metrics) -> Recorder:
    """Give a recorder without a collector."""
    return Recorder(metrics)


def test_what_happens_to_adapters_is_counted(recorder: Recorder, metrics: Metrics) -> None:
    """By state, by what moved a label and who, and by what became of a job that failed."""
    recorder.adapter_changed("active")
    recorder.adapter_changed("active")
    recorder.adapter_label_moved("publish", by_router=False)
    recorder.adapter_label_moved("rollback", by_router=True)
    recorder.adapter_corrupt()
    recorder.adapters_untrusted(2)
    recorder.adapter_job_failed("evaluate", for_good=False)
    recorder.adapter_job_failed("evaluate", for_good=True)
    assert values(metrics, instrument.ADAPTER_CHANGES) == {("active",): 2}
    moves = values(metrics, instrument.ADAPTER_LABEL_MOVES)
    assert moves == {("rollback", "router"): 1, ("publish", "caller"): 1}
    assert values(metrics, instrument.ADAPTER_CORRUPT) == {(): 1}
    assert values(metrics, instrument.ADAPTERS_UNTRUSTED) == {(): 2}
    failures = values(metrics, instrument.ADAPTER_JOB_FAILURES)
    assert failures["evaluate", "later"] == failures["evaluate", "given_up"] == 1


def test_what_an_alert_waits_for_is_there_before_it_happens(metrics: Metrics) -> None:
    """A counter that begins with 1 has not grown, to Prometheus; these begin with 0."""
    Recorder(metrics)
    for counter, labels in WOKEN_FOR:
        assert values(metrics, counter)[labels] == 0
    assert values(metrics, instrument.ADAPTER_CORRUPT) == {(): 0}
