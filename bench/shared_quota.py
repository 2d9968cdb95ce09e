"""Do routers that share one quota keep it? Over-admission, with Redis and without.

    python bench/shared_quota.py [--json] [--seconds 6] [--routers 4] [--seed 1]

Some processes, each with the quota of a router, ask for the same tenant as fast as they can:
first with Redis all the time, then with a Redis that is killed after a third of the time, and
started again, empty, after two thirds. Over-admission is what was used beyond a limit, in
percent of it. By default it takes 15 seconds.

Exit codes: 0 measured, 1 there is no redis-server to measure with (it says so), 2 wrong use.
"""

import argparse
import asyncio
import json
import random
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tame_router.errors import QuotaExceededError
from tame_router.quota.redis_link import RedisLink
from tame_router.quota.shared import SharedQuota
from tame_router.tenancy.tenant import Limits, Tenant
from tests.redis_fixture import SERVERS, RedisServer

CALLERS = 8
"""Answers that one router has under way at once, at most."""

LEAD_S = 2.0
"""Time that processes have to start in."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one router saw; moments are the machine's monotonic clock, in seconds."""

    requests: int = 0
    tokens: int = 0
    refused: int = 0
    spans: list[tuple[float, float]] = field(default_factory=list)
    slowest_up_ms: float = 0.0
    slowest_down_ms: float = 0.0
    cpu_us: float = 0.0
    gone: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)


async def _ask(
    quota: SharedQuota, tenant: Tenant, seen: Seen, chance: random.Random, end: float
) -> None:
    """Ask, answer, settle, and again, until the end."""
    while time.monotonic() < end:
        tokens = chance.randint(100, 1_000)
        begun, down = time.monotonic(), quota.degraded
        try:
            reservation = await quota.reserve(tenant, tokens)
        except QuotaExceededError:
            seen.refused += 1
            await asyncio.sleep(0.002)
            continue
        finally:
            took_ms = (time.monotonic() - begun) * 1e3
            if down:
                seen.slowest_down_ms = max(seen.slowest_down_ms, took_ms)
            else:
                seen.slowest_up_ms = max(seen.slowest_up_ms, took_ms)
        answered = time.monotonic()
        await asyncio.sleep(chance.random() * 0.02)
        used = chance.randint(1, tokens)
        seen.requests += 1
        seen.tokens += used
        seen.spans.append((answered, time.monotonic()))
        await reservation.settle(used)


async def _router(spec: dict[str, Any]) -> Seen:
    """Be one router."""
    seen, chance = Seen(), random.Random(spec["seed"])

    def watch(gone: bool) -> None:
        (seen.gone if gone else seen.back).append(time.monotonic())

    quota = SharedQuota(RedisLink(spec["url"]), spec["share"], watch)
    quota.connect()
    tenant = Tenant(name="bench", limits=Limits(**spec["limits"]))
    await asyncio.sleep(max(spec["begin"] - time.monotonic(), 0))
    cpu = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(_ask(quota, tenant, seen, chance, spec["end"]))
    asked = seen.requests + seen.refused
    seen.cpu_us = (time.process_time() - cpu) / max(asked, 1) * 1e6
    await quota.close()
    return seen


def most_at_once(spans: list[tuple[float, float]]) -> int:
    """Tell how many spans of time overlap, at most."""
    changes = sorted([(a, 1) for a, _ in spans] + [(b, -1) for _, b in spans])
    open_, most = 0, 0
    for _, change in changes:
        open_ += change
        most = max(most, open_)
    return most


def over_percent(used: int, limit: int) -> float:
    """Give what was used beyond a limit, in percent of it."""
    return round(max(used - limit, 0) / limit * 100, 3)


def measure(
    server: RedisServer,
    routers: int,
    seconds: float,
    seed: int,
    outage: bool,
) -> dict[str, Any]:
    """Let routers ask for some seconds, and tell what they were given.

    Args:
        server: Their Redis, which runs.
        routers: How many.
        seconds: How long; well under a minute, so that it is one window.
        seed: Draws sizes and durations.
        outage: Kill Redis after a third of the time, start it again after two thirds.
    """
    limits = {
        "requests_per_minute": int(60 * routers * seconds),
        "tokens_per_minute": int(15_000 * routers * seconds),
        "requests_per_day": 10_000_000,
        "tokens_per_day": 1_000_000_000,
        "concurrent_streams": CALLERS * routers // 2,
    }
    begin = time.monotonic() + LEAD_S
    spec = {"url": server.url, "share": 1 / routers, "limits": limits}
    spec |= {"begin": begin, "end": begin + seconds}
    children = [
        subprocess.Popen(
            [sys.executable, __file__, "--router", json.dumps({**spec, "seed": seed + i})],
            stdout=subprocess.PIPE,
        )
        for i in range(routers)
    ]
    restarted = begin
    if outage:
        time.sleep(max(begin + seconds / 3 - time.monotonic(), 0))
        server.kill()
        time.sleep(max(begin + seconds * 2 / 3 - time.monotonic(), 0))
        server.start()
        restarted = time.monotonic()
    seen = [Seen(**json.loads(child.communicate()[0])) for child in children]
    return _figures(seen, limits, restarted)


def _figures(seen: list[Seen], limits: dict[str, int], restarted: float) -> dict[str, Any]:
    requests, tokens = sum(s.requests for s in seen), sum(s.tokens for s in seen)
    streams = most_at_once([(a, b) for s in seen for a, b in s.spans])
    over = {
        "requests": over_percent(requests, limits["requests_per_minute"]),
        "tokens": over_percent(tokens, limits["tokens_per_minute"]),
        "streams": over_percent(streams, limits["concurrent_streams"]),
    }
    return {
        "over_admission_percent": max(over.values()),
        "over": over,
        "requests": requests,
        "tokens": tokens,
        "limits": limits,
        "refused": sum(s.refused for s in seen),
        "streams_at_once": streams,
        "asked_cpu_us": round(max(s.cpu_us for s in seen), 1),
        "slowest_up_ms": round(max(s.slowest_up_ms for s in seen), 1),
        "slowest_degraded_ms": round(max(s.slowest_down_ms for s in seen), 1),
        "degraded": sum(len(s.gone) for s in seen),
        "recovered": sum(len(s.back) for s in seen),
        "recovery_s": round(max((t - restarted for s in seen for t in s.back[-1:]), default=0), 2),
    }


def run(routers: int, seconds: float, seed: int) -> dict[str, Any]:
    """Measure with Redis all the time, then with an outage.

    Raises:
        FileNotFoundError: When there is no redis-server on the path.
    """
    binary = shutil.which(SERVERS["redis"])
    if binary is None:
        raise FileNotFoundError("there is no redis-server on the path; install Redis")
    found = {}
    for name, outage in (("shared", False), ("outage", True)):
        with RedisServer("redis", binary) as server:
            found[name] = measure(server, routers, seconds, seed, outage)
    return {"routers": routers, "seconds": seconds, "seed": seed, **found}


def _show(found: dict[str, Any]) -> None:
    for name, told in (("shared", "Redis all the time"), ("outage", "Redis killed, restarted")):
        figures = found[name]
        print(f"{told}: over-admission {figures['over_admission_percent']} %")
        for key, value in figures.items():
            if key not in {"over_admission_percent", "limits"}:
                print(f"  {key}: {value}")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Do routers that share one quota keep it?")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--seconds", type=float, default=6, help="length of a phase, up to 50")
    parser.add_argument("--routers", type=int, default=4, help="router processes")
    parser.add_argument("--seed", type=int, default=1, help="draws sizes and durations")
    parser.add_argument("--router", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.router:
        print(json.dumps(asdict(asyncio.run(_router(json.loads(args.router))))))
        return 0
    try:
        found = run(args.routers, args.seconds, args.seed)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    _show(found)
    if args.json:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
