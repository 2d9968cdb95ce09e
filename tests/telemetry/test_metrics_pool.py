"""Routers on one port show their metrics as one, and what was counted stays counted."""

import os
from pathlib import Path

import pytest

from tame_router.telemetry import instrument
from tame_router.telemetry.metric import Metrics
from tame_router.telemetry.metrics_pool import MetricsPool, file_of, keep_counted

CALL = ("grpc", "Answer", "OK")
GONE = 4_000_000
"""Number of a process that has ended, in these tests."""


def counted(calls: int, under_way: int, decided_s: float) -> Metrics:
    """Give the metrics of a router."""
    metrics = Metrics()
    metrics.add(instrument.CALLS, CALL, calls)
    metrics.set(instrument.UNDER_WAY, (), under_way)
    metrics.set(instrument.REPLICAS, ("local", "ready"), 3)
    metrics.observe(instrument.DECISION_SECONDS, ("words",), decided_s)
    return metrics


def shown(pool: MetricsPool) -> dict[str, float]:
    """Read what a pool shows, by name and labels."""
    lines = pool.render("")[0].decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


@pytest.fixture
def pool(tmp_path: Path) -> MetricsPool:
    """Give a pool of two routers, of which the other wrote its file some time ago."""
    other = MetricsPool(counted(3, 1, 0.5), tmp_path)
    other.close()
    file_of(tmp_path, os.getpid()).rename(file_of(tmp_path, GONE))
    return MetricsPool(counted(4, 2, 0.25), tmp_path)


def test_all_are_added_up(pool: MetricsPool) -> None:
    """Counters, histograms and gauges are sums; what all routers see alike is shown once."""
    found = shown(pool)
    pool.close()
    assert found['tame_calls_total{edge="grpc",method="Answer",outcome="OK"}'] == 7
    assert found["tame_calls_under_way"] == 3
    assert found['tame_replicas{backend="local",state="ready"}'] == 3
    assert found['tame_decision_duration_seconds_count{stage="words"}'] == 2
    assert found['tame_decision_duration_seconds_sum{stage="words"}'] == 0.75
    assert found["process_resident_memory_bytes"] > 2 * 2**20


def test_what_was_counted_outlives_its_router(pool: MetricsPool, tmp_path: Path) -> None:
    """A router that ended is in the counters, also of several, and in no gauge."""
    keep_counted(tmp_path, GONE)
    assert [path.name for path in sorted(tmp_path.glob("*.msgpack"))] == [
        f"{os.getpid()}.msgpack",
        "ended.msgpack",
    ]
    keep_counted(tmp_path, GONE)
    again = Metrics()
    again.add(instrument.CALLS, CALL, 5)
    own = file_of(tmp_path, os.getpid())
    kept = own.read_bytes()
    MetricsPool(again, tmp_path).close()
    own.rename(file_of(tmp_path, GONE))
    keep_counted(tmp_path, GONE)
    own.write_bytes(kept)
    found = shown(pool)
    pool.close()
    assert found['tame_calls_total{edge="grpc",method="Answer",outcome="OK"}'] == 12
    assert found["tame_calls_under_way"] == 2
    assert found['tame_decision_duration_seconds_count{stage="words"}'] == 2


def test_metrics_of_another_version_are_left_out(pool: MetricsPool, tmp_path: Path) -> None:
    """During an upgrade a metric with other labels is not shown, and the others are."""
    path = file_of(tmp_path, GONE)
    path.write_bytes(path.read_bytes().replace(b"outcome", b"outcame"))
    found = shown(pool)
    pool.close()
    assert found['tame_calls_total{edge="grpc",method="Answer",outcome="OK"}'] == 4
    assert found["tame_calls_under_way"] == 3
