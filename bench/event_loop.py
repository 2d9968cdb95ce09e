"""Does routing hold up answers? The gaps between a stream's tokens, with and without load.

    python bench/event_loop.py [--json] [--seconds 7] [--rounds 4] [--rate 50]

A fake vLLM writes a token every 20 ms; the router serves it as it always does; this program
reads one stream and notes the time between its deltas. Each round it does so twice: with no
other load, then while another process sends questions that need the encoder to `Route`, so
many a second however long they take. Fake, router, load and client are processes of their
own. By default it takes 75 seconds.

Exit codes: 0 measured, 1 there is no encoder to measure with (it says so), 2 wrong use.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.overhead import ROOT, child
from bench.own_sentences import SENTENCES
from tame_router import app
from tame_router.chat import Sampling
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta
from tame_router.config_file import load_settings
from tame_router.errors import TameError
from tame_router.trained_router import build_router

TOKEN_MS = 20
TOKENS_PER_S = 1_000 // TOKEN_MS
QUESTION = "租約到期了，房東一直不退押金，該怎麼辦？"
ENCODER = "encoder"
WARM_UP_S = 2
SETTLE_S = 0.5
"""Gaps this soon after the first token count for nothing: the load is still starting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the load process reached.

    Attributes:
        encoder_per_s: Questions a second that the encoder looked at.
        route_ms_p99: Time a `Route` call took, the 99th of 100.
        failed: Calls that failed.
    """

    encoder_per_s: float
    route_ms_p99: float
    failed: int


async def gaps_ms(address: str, seconds: float) -> list[float]:
    """Read one stream for so long, and give the times between its deltas, in milliseconds."""
    sampling = Sampling(max_tokens=round((seconds + SETTLE_S) * TOKENS_PER_S))
    async with (
        AsyncClient(address) as client,
        client.stream(QUESTION, sampling=sampling) as events,
    ):
        arrivals = [time.perf_counter() async for event in events if isinstance(event, Delta)]
    first = next(i for i, at in enumerate(arrivals) if at - arrivals[0] >= SETTLE_S)
    pairs = zip(arrivals[first:], arrivals[first + 1 :], strict=False)
    return [(after - before) * 1e3 for before, after in pairs]


async def encoder_questions(address: str) -> list[str]:
    """Give those of our own sentences that the router asks its encoder about."""
    async with AsyncClient(address) as client:
        return [text for text in SENTENCES if (await client.route(text)).stage == ENCODER]


async def send(address: str, questions: list[str], seconds: float, rate: float) -> Load:
    """Send questions at a rate, whether or not those before have been answered."""
    stages: Counter[str] = Counter()
    times: list[float] = []

    async def ask(client: AsyncClient, text: str) -> None:
        begun = time.perf_counter()
        try:
            stages[(await client.route(text)).stage] += 1
            times.append((time.perf_counter() - begun) * 1e3)
        except TameError:
            stages["failed"] += 1

    begun = time.perf_counter()
    async with AsyncClient(address) as client, asyncio.TaskGroup() as tasks:
        for number in range(round(seconds * rate)):
            await asyncio.sleep(begun + number / rate - time.perf_counter())
            tasks.create_task(ask(client, questions[number % len(questions)]))
    took = time.perf_counter() - begun
    return Load(
        encoder_per_s=stages[ENCODER] / took,
        route_ms_p99=_p99(times),
        failed=stages["failed"],
    )


def loaded_gaps_ms(
    address: str, questions: list[str], seconds: float, rate: float
) -> tuple[list[float], Load]:
    """Read a stream while another process sends questions, and give what it reached too."""
    plan = json.dumps({"address": address, "questions": questions, "rate": rate})
    command = [sys.executable, str(Path(__file__).resolve()), "--send", plan]
    command += ["--seconds", str(seconds + SETTLE_S)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise RuntimeError("no pipe")
        process.stdout.readline()  # it says when it begins
        gaps = asyncio.run(gaps_ms(address, seconds))
        return gaps, Load(**json.loads(process.stdout.readline()))


def measure(seconds: float, rounds: int, rate: float) -> dict[str, float] | None:
    """Run all rounds, and give the figures by name; None: no question needs an encoder."""
    settings = load_settings()
    catalog = app.build_catalog(settings)
    build_router(settings, catalog)  # trained ahead, as in service
    revisions = [e.live_revision for e in catalog.experts.values() if e.live]
    fake = ["tests.fakes.vllm", f"--first-token-ms={TOKEN_MS}", f"--token-ms={TOKEN_MS}"]
    fake += ["--tokens=4000", *(f"--adapter={name}" for name in revisions)]
    with ExitStack() as stack:
        engine = stack.enter_context(child(fake, {}, '{"base_url": ')).address
        environment = {"TAME_BACKENDS__LOCAL__BASE_URL": engine, "TAME_SERVER__PORT": "0"}
        environment["TAME_SERVER__INSECURE"] = "true"  # loopback only
        environment["TAME_HTTP__PORT"] = "0"
        serve = ["tame_router", "serve"]
        address = stack.enter_context(child(serve, environment, "serving on ")).address
        questions = asyncio.run(encoder_questions(address))
        if not questions:
            return None
        asyncio.run(gaps_ms(address, WARM_UP_S))
        return _alternate(address, questions, seconds, rounds, rate)


def _alternate(
    address: str, questions: list[str], seconds: float, rounds: int, rate: float
) -> dict[str, float]:
    idle: list[float] = []
    busy: list[float] = []
    loads: list[Load] = []
    ratios: list[float] = []
    for number in range(rounds):
        idle += (quiet := asyncio.run(gaps_ms(address, seconds)))
        gaps, load = loaded_gaps_ms(address, questions, seconds, rate)
        busy += gaps
        loads.append(load)
        ratios.append(_p99(gaps) / _p99(quiet))
        print(
            f"round {number + 1}: p99 {_p99(quiet):.2f} ms idle, {_p99(gaps):.2f} ms loaded;"
            f" {load.encoder_per_s:.1f} questions/s to the encoder",
            flush=True,
        )
    return {
        "gap_ms_p50_idle": round(statistics.median(idle), 2),
        "gap_ms_p50_loaded": round(statistics.median(busy), 2),
        "gap_ms_p99_idle": round(_p99(idle), 2),
        "gap_ms_p99_loaded": round(_p99(busy), 2),
        "gap_p99_ratio": round(_p99(busy) / _p99(idle), 3),
        "gap_p99_ratio_of_a_round": round(statistics.median(ratios), 3),
        "gaps_idle": len(idle),
        "gaps_loaded": len(busy),
        "encoder_per_s": round(statistics.mean(load.encoder_per_s for load in loads), 1),
        "route_ms_p99": round(max(load.route_ms_p99 for load in loads), 2),
        "failed": sum(load.failed for load in loads),
    }


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else 0.0


def _send_planned(plan: Mapping[str, Any], seconds: float) -> None:
    """Be the load process: say when it begins, and give the figures when it ends."""
    print("sending", flush=True)
    load = asyncio.run(send(plan["address"], plan["questions"], seconds, plan["rate"]))
    print(json.dumps(asdict(load)), flush=True)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--seconds", type=float, default=7, help="length of a stream (default: 7)")
    parser.add_argument("--rounds", type=int, default=4, help="idle and loaded, in turn (4)")
    parser.add_argument("--rate", type=float, default=50, help="questions a second (default: 50)")
    parser.add_argument("--send", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.send:
        _send_planned(json.loads(arguments.send), arguments.seconds)
        return 0
    figures = measure(arguments.seconds, arguments.rounds, arguments.rate)
    if figures is None:
        print("no question needs an encoder here; make one with `make encoder`")
        return 1
    for name, value in figures.items():
        print(f"{name:<26} {value:>10}")
    if arguments.json:
        print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
