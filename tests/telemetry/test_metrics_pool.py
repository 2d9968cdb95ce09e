"""Routers on one port show their metrics as one, and what was counted stays counted."""

import os
import shutil
from pathlib import Path

import pytest

from tame_router.telemetry import instrument
from tame_router.telemetry.metric import Metrics
from tame_router.telemetry.metrics_pool import MetricsPool, file_of, keep_counted

CALL = ("grpc", "Answer", "OK")
OTHER = os.getppid()
"""Number of a process that is there, and stands for another router."""

GONE = 4_194_305
"""One that no process of Linux has."""


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
    file_of(tmp_path, os.getpid()).rename(file_of(tmp_path, OTHER))
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
    keep_counted(tmp_path, OTHER)
    assert [path.name for path in sorted(tmp_path.glob("*.msgpack"))] == [
        f"{os.getpid()}.msgpack",
        "ended.msgpack",
    ]
    keep_counted(tmp_path, OTHER)
    again = Metrics()
    again.add(instrument.CALLS, CALL, 5)
    own = file_of(tmp_path, os.getpid())
    kept = own.read_bytes()
    MetricsPool(again, tmp_path).close()
    own.rename(file_of(tmp_path, OTHER))
    keep_counted(tmp_path, OTHER)
    own.write_bytes(kept)
    found = shown(pool)
    pool.close()
    assert found['tame_calls_total{edge="grpc",method="Answer",outcome="OK"}'] == 12
    assert found["tame_calls_under_way"] == 2
    assert found['tame_decision_duration_seconds_count{stage="words"}'] == 2


def test_metrics_of_another_version_are_left_out(pool: MetricsPool, tmp_path: Path) -> None:
    """During an upgrade a metric with other labels is not shown, and the others are."""
    path = file_of(tmp_path, OTHER)
    path.write_bytes(path.read_bytes().replace(b"outcome", b"outcame"))
    found = shown(pool)
    pool.close()
    assert found['tame_calls_total{edge="grpc",method="Answer",outcome="OK"}'] == 4
    assert found["tame_calls_under_way"] == 3


def test_one_that_was_killed_is_in_the_counters_alone(pool: MetricsPool, tmp_path: Path) -> None:
    """Also where nobody has kept what it counted."""
    file_of(tmp_path, OTHER).rename(file_of(tmp_path, GONE))
    found = shown(pool)
    pool.close()
    assert found['tame_calls_total{edge="grpc",method="Answer",outcome="OK"}'] == 7
    assert found["tame_calls_under_way"] == 2


def test_what_was_shown_is_not_less_afterwards(tmp_path: Path) -> None:
    """A router that is killed right after it showed a number has left that number."""
    metrics = counted(4, 0, 0.5)
    pool = MetricsPool(metrics, tmp_path, interval_s=3600)
    metrics.add(instrument.CALLS, CALL, 50)
    name = 'tame_calls_total{edge="grpc",method="Answer",outcome="OK"}'
    assert shown(pool)[name] == 54
    file_of(tmp_path, os.getpid()).rename(file_of(tmp_path, GONE))
    keep_counted(tmp_path, GONE)
    other = MetricsPool(Metrics(), tmp_path, interval_s=3600)
    assert shown(other)[name] == 54
    other.close()
    pool.close()


def test_a_folder_that_is_gone_is_borne(tmp_path: Path) -> None:
    """A router shows its own then, goes on, and ends in good order."""
    folder = tmp_path / "pool"
    folder.mkdir()
    pool = MetricsPool(counted(3, 1, 0.5), folder, interval_s=0.01)
    shutil.rmtree(folder)
    assert shown(pool)["tame_calls_under_way"] == 1
    pool.close()
