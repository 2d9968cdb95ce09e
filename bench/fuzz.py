"""Ten minutes each of schemathesis, of fuzzed JSON bodies and of fuzzed proto bytes.

    python bench/fuzz.py [--seconds 600] [--seed 1] [--part json] [--json]

A router with keys, quotas and audit on, before a fake vLLM without delays. A part is first run
for a while to warm up, then what the router holds is written down; at its end that must be
about the same: no answer under way, no more connections, files or memory than the bounds
below allow. A good client is answered before and after. Any 500, INTERNAL, UNKNOWN, broken
connection, traceback in the log or growth fails the run, which then tells the smallest input
that shows it.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.fuzzing.drive import Tally, drive
from bench.fuzzing.http_inputs import json_inputs
from bench.fuzzing.openapi_run import run_schemathesis
from bench.fuzzing.proto_calls import proto_inputs
from bench.fuzzing.service import Fuzzed, Held, fuzzed

WARM_UP = 0.15
"""Share of the time that warms up, on top of it."""
MORE_FILES = 16
"""Descriptors that may be open beside those after warming up: the pools of the database and of
the threads open theirs as they are first needed."""
MORE_UPSTREAM = 4
"""Connections to the engine likewise: kept for the next question for a while."""
MORE_MB = 96.0
"""Memory likewise: caches that fill up to their bounds, and what the allocator keeps of messages
of up to 16 MiB, which comes to rest some 120 MB above where it was before the first of them.
A leak of 1 KiB a request would pass it within ten minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a part showed.

    Attributes:
        tally: What was met.
        warm: What the router held after warming up.
        cool: What it held at the end.
        faults: What must not be, in words; empty: all is well.
    """

    tally: Tally
    warm: Held
    cool: Held
    faults: tuple[str, ...]


Part = Callable[[Fuzzed, float, int], Tally]


def _json(service: Fuzzed, seconds: float, seed: int) -> Tally:
    with json_inputs(service.router.http, service.router.key) as inputs:
        return drive(inputs, seconds=seconds, first_seed=seed)


def _proto(service: Fuzzed, seconds: float, seed: int) -> Tally:
    with proto_inputs(service.router.grpc, service.router.key) as inputs:
        tally = drive(inputs, seconds=seconds, first_seed=seed)
    service.tidy()
    return tally


PARTS: dict[str, Part] = {"schemathesis": run_schemathesis, "json": _json, "proto": _proto}


def run_part(part: Part, service: Fuzzed, *, seconds: float, seed: int) -> Result:
    """Run a part against a router.

    Raises:
        RuntimeError: When the router does not answer before.
    """
    if not service.answers():
        raise RuntimeError("the router does not answer before anything was done to it")
    tally = part(service, max(1.0, seconds * WARM_UP), seed + 1_000_000)
    warm = service.held()
    tally.add(part(service, seconds, seed))
    cool = service.held() if service.alive() else warm
    return Result(tally=tally, warm=warm, cool=cool, faults=_faults(service, tally, warm, cool))


def _faults(service: Fuzzed, tally: Tally, warm: Held, cool: Held) -> tuple[str, ...]:
    """Say what must not be."""
    found = list(tally.failures)
    if not service.alive():
        return (*found, "the router's process has ended")
    found += [f"the log has {line[:300]}" for line in service.crashes()[:3]]
    if cool.running:
        found.append(f"{cool.running} answers are still being written")
    for name, more in (("files", MORE_FILES), ("upstream", MORE_UPSTREAM), ("rss_mb", MORE_MB)):
        before, after = getattr(warm, name), getattr(cool, name)
        if after > before + more:
            found.append(f"{name} rose from {before} to {after}, by more than {more}")
    if not service.answers():
        found.append("a good client is not answered any more")
    return tuple(found)


def show(name: str, result: Result) -> None:
    """Print what a part showed."""
    tally = result.tally
    rate = tally.requests / tally.seconds
    print(f"{name}: {tally.requests} requests in {tally.seconds:.0f} s, {rate:.0f} a second")
    for status, count in sorted(tally.statuses.items()):
        print(f"  {status:<44} {count:>8}")
    for what, held in (("after warming up", result.warm), ("at the end", result.cool)):
        words = ", ".join(f"{key} {value}" for key, value in dataclasses.asdict(held).items())
        print(f"  {what}: {words}")
    for fault in result.faults:
        print(f"  FAULT {fault}")
        if fault in tally.failures:
            print(f"    {tally.failures[fault]}")


def figures(result: Result) -> dict[str, object]:
    """Give a part's figures, for programs."""
    tally = result.tally
    return {
        "requests": tally.requests,
        "seconds": round(tally.seconds),
        "statuses": dict(sorted(tally.statuses.items())),
        "warm": dataclasses.asdict(result.warm),
        "cool": dataclasses.asdict(result.cool),
        "faults": list(result.faults),
    }


def main() -> None:
    """Run the command line; the status is 1 where a fault was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--seconds", type=float, default=600, help="of each part (default: 600)")
    parser.add_argument("--seed", type=int, default=1, help="of the inputs (default: 1)")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this one")
    arguments = parser.parse_args()
    results: dict[str, Result] = {}
    with fuzzed() as service:
        for name in arguments.part or PARTS:
            part = PARTS[name]
            result = run_part(part, service, seconds=arguments.seconds, seed=arguments.seed)
            results[name] = result
            show(name, result)
    if arguments.json:
        print(json.dumps({name: figures(result) for name, result in results.items()}))
    sys.exit(any(result.faults for result in results.values()))


if __name__ == "__main__":
    main()
