"""What joins cost: time to the first word, total time, and the router's own CPU time.

    python bench/joins.py [--json] [--rounds 24] [--plot docs/joins.svg]

Three fake vLLMs with set latencies stand behind a router in a process of its own: the lead's
first token after 60 ms, the second expert's after 240 ms, the base model's after 60 ms, then a
token every 5 ms. Each round asks every join once, in changing order; figures are medians over
rounds. The peer is a buffered panel, asked in the same round: both experts are asked at once
with `join: single`, and the first word is shown when both are done, as proxies do that join
answers. `fuse` is held against the moment at which its quorum was there: the slower draft's end
plus the writer's first token.

CPU time is the router's, of all its threads: answers of one, two and three experts that write
the same, and what each one more costs in terms of one more single answer.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.joins_plot import write_plot
from bench.overhead import child
from tame_router import app
from tame_router.chat import Sampling
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta, ExpertFinish, Final
from tame_router.client.request import Options
from tame_router.config_file import load_settings
from tame_router.trained_router import build_router

JOINS = ("single", "panel", "second_opinion", "fuse", "vote", "best_of")
BUFFERED = "buffered"
AGAIN = "single, again"
"""The same once more in each round: how far it is from 1 says how much the figures are worth."""
LEAD, OTHER, THIRD, WRITER = "legal", "medical", "manufacturing", "general"
FIRST_MS = {LEAD: 60, OTHER: 240, THIRD: 60, WRITER: 60}
TOKEN_MS = 5
TOKENS = 24
QUESTION = "租約到期了，房東一直不退押金，該怎麼辦？"
"""Decided by words alone, so that no time of the encoder is in the figures."""

CPU_ANSWERS = 360
"""Of each number of experts: a tick of the clock is 10 ms, and an answer takes less."""
CPU_TOKEN_MS = 1
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One answer, in milliseconds from the question.

    Attributes:
        first: To the first word of an expert; headings do not count.
        total: To the end.
        drafted: To the end of the last draft; 0: there was none.
    """

    first: float
    total: float
    drafted: float = 0.0


@dataclass(slots=True)
class Timings:
    """What was measured, by join; `buffered` is the peer."""

    by_join: dict[str, list[Timing]] = field(default_factory=dict)

    def add(self, join: str, timing: Timing) -> None:
        """Take one in."""
        self.by_join.setdefault(join, []).append(timing)

    def first_ms(self, join: str) -> float:
        """Give the median time to the first word."""
        return statistics.median(t.first for t in self.by_join[join])

    def total_ms(self, join: str) -> float:
        """Give the median time to the end."""
        return statistics.median(t.total for t in self.by_join[join])

    def after_quorum_ms(self) -> float:
        """Give what a fusion's first word takes beyond its quorum and the writer's first token."""
        return statistics.median(
            t.first - t.drafted - FIRST_MS[WRITER] for t in self.by_join["fuse"]
        )


def options(join: str, experts: int) -> Options:
    """Ask for a join of the first experts; the decision is the same for all."""
    allow = (LEAD, OTHER, THIRD)[: max(2, experts)]
    sampling = Sampling(temperature=0.0)
    if join == "single":
        return Options(join=join, allow=allow, sampling=sampling)
    return Options(join=join, allow=allow, max_experts=experts, sampling=sampling)


async def timed(client: AsyncClient, join: str) -> Timing:
    """Ask once.

    Raises:
        RuntimeError: When nothing was said.
    """
    begun = time.perf_counter()
    first, drafted = None, 0.0
    async with client.stream(QUESTION, **options(join, 2)) as events:
        async for event in events:
            elapsed = (time.perf_counter() - begun) * 1e3
            if isinstance(event, Delta) and event.part != "label" and first is None:
                first = elapsed
            elif isinstance(event, ExpertFinish) and event.part == "draft":
                drafted = elapsed
            elif isinstance(event, Final) and first is not None:
                return Timing(first=first, total=elapsed, drafted=drafted)
    raise RuntimeError(f"{join}: nothing was said")


async def buffered(client: AsyncClient) -> Timing:
    """Ask both experts at once, and show nothing before both are done."""
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for expert in (LEAD, OTHER):
            group.create_task(client.chat(QUESTION, expert=expert))
    elapsed = (time.perf_counter() - begun) * 1e3
    return Timing(first=elapsed, total=elapsed)


async def measure_times(address: str, rounds: int) -> Timings:
    """Ask every join once a round, in changing order."""
    timings = Timings()
    names = [*JOINS, BUFFERED, AGAIN]
    async with AsyncClient(address) as client:
        for number in range(rounds + 1):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                asked = "single" if name == AGAIN else name
                timing = await (buffered(client) if name == BUFFERED else timed(client, asked))
                if number:  # the first round warms up
                    timings.add(name, timing)
    return timings


def cpu_s(pid: int) -> float:
    """Give the CPU time that a process has taken, of all its threads, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def measure_cpu(address: str, pid: int, answers: int) -> dict[int, float]:
    """Give the router's CPU time of an answer of one, two and three experts, in milliseconds.

    Several are asked as a panel. They take turns, so that a busy moment meets all alike.
    """
    spent: dict[int, list[float]] = {1: [], 2: [], 3: []}
    rounds = 6
    async with AsyncClient(address) as client:
        for number in range(rounds + 1):
            for experts, found in spent.items():
                asked = options("single" if experts == 1 else "panel", experts)
                before = cpu_s(pid)
                for _ in range(answers // rounds):
                    await client.chat(QUESTION, **asked)
                if number:
                    found.append((cpu_s(pid) - before) / (answers // rounds) * 1e3)
    return {experts: statistics.median(found) for experts, found in spent.items()}


@contextlib.contextmanager
def bench_router(first_ms: dict[str, int], token_ms: int) -> Iterator[tuple[str, int]]:
    """Run a router whose experts are each behind a fake of its own; give address and process."""
    settings = load_settings()
    catalog = app.build_catalog(settings)
    build_router(settings, catalog)  # trained ahead, as in service
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls: dict[str, str] = {}
        for name, first in first_ms.items():
            fake = ["tests.fakes.vllm", f"--first-token-ms={first}", f"--token-ms={token_ms}"]
            fake += [f"--tokens={TOKENS}"]
            revision = catalog.expert(name).live_revision
            fake += [f"--adapter={revision}"] if revision else []
            urls[name] = stack.enter_context(child(fake, {}, '{"base_url": ')).address
        experts = folder / "experts"
        _place_experts(settings.experts_dir, experts, urls)
        document = {
            "experts_dir": str(experts),
            "state_dir": str(settings.state_dir.resolve()),
            "server": {"port": 0, "insecure": True},
            "http": {"port": 0},
            "store": {"url": f"sqlite:///{folder / 'joins.db'}"},
            "backends": {
                name: {"base_url": urls.get(name, urls[WRITER]), "base_model": BASE_MODEL}
                for name in (*urls, "local")
            },
        }
        file = folder / "tame.yaml"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        serve = ["tame_router", "serve", "--config", str(file)]
        router = stack.enter_context(child(serve, {}, "serving on "))
        yield router.address, router.pid


BASE_MODEL = "smollm2-135m-instruct"
"""Name that the fakes give their base model."""


def _place_experts(source: Path, target: Path, urls: dict[str, str]) -> None:
    """Copy the experts, those with a fake of their own pointed at it."""
    adapters = source.resolve().parent / "adapters"
    for folder in sorted(p for p in source.iterdir() if (p / "expert.yaml").exists()):
        place = target / folder.name
        place.mkdir(parents=True)
        for file in folder.iterdir():
            if file.is_file():
                (place / file.name).write_bytes(file.read_bytes())
        described = yaml.safe_load((folder / "expert.yaml").read_text(encoding="utf-8"))
        if folder.name in urls:
            described["backend"] = folder.name
        for base, path in (described.get("adapters") or {}).items():
            described["adapters"][base] = str((folder.resolve() / path).resolve())
        text = yaml.safe_dump(described, allow_unicode=True, sort_keys=False)
        (place / "expert.yaml").write_text(text, encoding="utf-8")
    (target.parent / "adapters").symlink_to(adapters)


def measure(rounds: int, plot: Path | None) -> dict[str, object]:
    """Run everything once, and give the figures."""
    with bench_router(FIRST_MS, TOKEN_MS) as (address, _):
        timings = asyncio.run(measure_times(address, rounds))
    quick = dict.fromkeys(FIRST_MS, 0)
    with bench_router(quick, CPU_TOKEN_MS) as (address, pid):
        cpu = asyncio.run(measure_cpu(address, pid, CPU_ANSWERS))
    for join in timings.by_join:
        print(
            f"{join:<16} first {timings.first_ms(join):7.1f} ms"
            f"   total {timings.total_ms(join):7.1f} ms"
        )
    print(f"fuse after quorum {timings.after_quorum_ms():.1f} ms")
    for experts, spent in cpu.items():
        print(f"CPU of {experts} experts  {spent:.2f} ms")
    if plot:
        shown = (*JOINS, BUFFERED)
        firsts = {join: [t.first for t in timings.by_join[join]] for join in shown}
        totals = {join: timings.total_ms(join) for join in shown}
        write_plot(plot, firsts, totals)
    single_first, single_total = timings.first_ms("single"), timings.total_ms("single")
    return {
        "ttft_ratio": {
            join: round(timings.first_ms(join) / single_first, 3) for join in timings.by_join
        },
        "total_ratio": {
            join: round(timings.total_ms(join) / single_total, 3) for join in timings.by_join
        },
        "cpu_ratio_per_expert": round((cpu[3] - cpu[1]) / 2 / cpu[1], 3),
        "fuse_after_quorum_ms": round(timings.after_quorum_ms(), 2),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--rounds", type=int, default=24, help="answers of each join (default: 24)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also write a plot, SVG")
    arguments = parser.parse_args()
    figures = measure(arguments.rounds, arguments.plot)
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
