"""The measurement of a shared quota, in short."""

import json
import shutil
import subprocess
import sys

import pytest

from bench.shared_quota import most_at_once, over_percent


@pytest.mark.redis
def test_routers_that_share_a_quota_keep_it() -> None:
    """No limit is passed by more than 1 %, and an outage is survived; all real."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not on the path; install Redis to measure with it")
    command = [sys.executable, "bench/shared_quota.py", "--json", "--seconds=4", "--routers=2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    found = json.loads(done.stdout.splitlines()[-1])
    shared, outage = found["shared"], found["outage"]
    # A machine too busy to answer in 250 ms makes routers count for themselves, as stated.
    assert shared["degraded"] or shared["over_admission_percent"] <= 1
    assert shared["requests"] > 100
    assert shared["refused"] > 100
    assert outage["degraded"] >= 2
    assert outage["degraded"] == outage["recovered"]


def test_overlaps_and_excess_are_counted() -> None:
    """Spans that touch do not overlap; what stays within a limit is no excess."""
    assert most_at_once([(0, 2), (1, 3), (3, 4), (2, 5)]) == 2
    assert most_at_once([]) == 0
    assert over_percent(101, 100) == 1.0
    assert over_percent(99, 100) == 0.0
