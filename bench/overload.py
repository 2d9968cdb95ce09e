"""More work than a server can do: what is offered, what is answered, and how fast others are told.

    python bench/overload.py [--json] [--seconds 15] [--seed 1] [--plot docs/overload.svg]

Four processes: a fake vLLM that writes so many answers at once and takes a set time for each, a
router as an operator runs it, with keys and records, this one, which asks at moments drawn from a
Poisson process and waits for nobody, and a probe, which times refusals. Offered is half to ten
times what the fake can write; then a tenant that wants ten times of that beside one that wants
three tenths.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.overhead import child
from bench.overload_load import Caller, Load, Tally, load, percentile
from bench.overload_plot import write_plot
from bench.overload_probe import Probe, Probed, probing
from bench.secured import tame
from tame_router import app
from tame_router.config import Settings
from tame_router.trained_router import plan_lesson, train_router
from tests.fakes.vllm import BASE_MODEL
from tests.small_experts import QUESTIONS, write_experts

PLACES: Final = 12
FIRST_MS: Final = 200.0
TOKEN_MS: Final = 100.0
TOKENS: Final = 8
CAPACITY: Final = PLACES / (FIRST_MS + TOKENS * TOKEN_MS) * 1e3
"""Answers a second that the fake can write: 12. Ten times of that leaves two cores time to rest."""

QUEUE: Final[dict[str, Any]] = {
    "wait_s": 0.4,  # two fifths of what an answer takes
    "limit": {"min": 4, "max": 256, "wait_s": 0.05},
}
FACTORS: Final = (0.5, 0.9, 1.0, 1.5, 2.0, 5.0, 10.0)
USUAL: Final = 0.9
USUAL_TIMES: Final = 3
"""How much longer the usual load is offered: all others are held against its 99th percentile."""

SETTLE_S: Final = 3.0
TENANTS: Final = ("greedy", "modest")
MODEST: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of one offer; rates are answers a second, times milliseconds."""

    factor: float
    offered: float
    goodput: float
    refused: float
    first_p50: float
    first_p99: float
    probed: Probed
    lag_p99: float


def row(factor: float, tally: Tally, probed: Probed, seconds: float) -> Row:
    """Sum one offer up."""
    return Row(
        factor=factor,
        offered=tally.asked / seconds,
        goodput=tally.answered / seconds,
        refused=tally.refused / seconds,
        first_p50=percentile(tally.firsts_ms, 0.5),
        first_p99=percentile(tally.firsts_ms, 0.99),
        probed=probed,
        lag_p99=percentile(tally.lags_ms, 0.99),
    )


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Run a fake and a router, and give the router's gRPC address and its tenants' keys."""
    settings = {
        "state_dir": str(folder / "state"),
        "experts_dir": str(write_experts(folder)),
        "server": {"port": 0, "max_answers": 2_048},
        "http": {"port": 0},
        "log": {"level": "error"},
        "routing": {"encoder": {"enabled": False}},
        "backends": {"local": {"base_model": BASE_MODEL, "queue": QUEUE}},
    }
    checked = Settings.model_validate(settings)
    catalog = app.build_catalog(checked)
    train_router(plan_lesson(checked, catalog), lambda _: None)
    fake = [
        "tests.fakes.vllm",
        *(f"--slots={PLACES}", f"--tokens={TOKENS}"),
        *(f"--first-token-ms={FIRST_MS}", f"--token-ms={TOKEN_MS}"),
        *(f"--adapter={e.live_revision}" for e in catalog.experts.values() if e.live),
    ]
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(child(fake, {}, '{"base_url": ')).address
        settings["backends"]["local"]["base_url"] = engine  # type: ignore[index]
        file = folder / "tame.yaml"
        file.write_text(json.dumps(settings))
        environment = {"TAME_CONFIG": str(file)}
        keys = {}
        for tenant in TENANTS:
            tame(environment, "tenant", "create", tenant, "--grant=*")
            made = tame(environment, "tenant", "key", "create", tenant, "--scopes=chat", "--json")
            keys[tenant] = json.loads(made)["key"]
        serve = ["tame_router", "serve"]
        router = child(serve, environment, "serving on ", "serving HTTP on ")
        yield stack.enter_context(router).address, keys


async def offers(on: Load, probe: Probe, key: str, *, seconds: float, seed: int) -> list[Row]:
    """Offer each multiple of the capacity in turn, and probe those that are too much."""
    rows = []
    for factor in FACTORS:
        caller = Caller(key=key, rate=factor * CAPACITY)
        length_s = seconds * USUAL_TIMES if factor == USUAL else seconds
        probed = Probed(refusals_ms=[], health_ms=[])
        async with asyncio.TaskGroup() as group:
            offered = group.create_task(
                on.offer([caller], seconds=length_s, settle_s=SETTLE_S, seed=seed)
            )
            if factor > 1:
                probed = await probe.probe(settle_s=SETTLE_S, seconds=length_s)
        (tally,) = offered.result()
        rows.append(row(factor, tally, probed, length_s))
        for error, count in tally.errors.most_common(3):
            print(f"{count:>6} × {error}", file=sys.stderr)
    return rows


async def fairness(
    on: Load, keys: dict[str, str], *, seconds: float, seed: int
) -> tuple[float, float]:
    """Give the goodput of a tenant that wants little: alone, and beside one that wants all."""
    modest = Caller(key=keys["modest"], rate=MODEST * CAPACITY)
    greedy = Caller(key=keys["greedy"], rate=FACTORS[-1] * CAPACITY)
    found = []
    for callers in ([modest], [modest, greedy]):
        tally, *_ = await on.offer(callers, seconds=seconds, settle_s=SETTLE_S, seed=seed)
        found.append(tally.answered / seconds)
    alone, beside = found
    return alone, beside


async def measure(
    address: str, keys: dict[str, str], *, seconds: float, seed: int
) -> tuple[list[Row], tuple[float, float]]:
    """Offer everything there is to offer to one router."""
    async with load(address, QUESTIONS["legal"][0]) as on:
        warm = Caller(key=keys["greedy"], rate=2 * CAPACITY)
        await on.offer([warm], seconds=SETTLE_S, settle_s=SETTLE_S, seed=seed)
        async with probing(address, QUESTIONS["legal"][0], keys["greedy"]) as probe:
            rows = await offers(on, probe, keys["greedy"], seconds=seconds, seed=seed)
        return rows, await fairness(on, keys, seconds=seconds, seed=seed)


def figures(rows: list[Row], kept: tuple[float, float]) -> dict[str, float | None]:
    """Give what is promised: of first words the worst offer above the usual, of refusals all.

    A ratio is None where a run was too short to have what it is held against.
    """
    usual = next(row.first_p99 for row in rows if row.factor == USUAL)
    over = [row for row in rows if row.factor > USUAL]
    return {
        "goodput_at_10x": round(rows[-1].goodput, 2),
        "best_goodput": round(max(row.goodput for row in rows), 2),
        "ttft_p99_ratio": _ratio(max(row.first_p99 for row in over), usual, 2),
        "refusal_ms_p99": round(percentile(all_of(over, "refusals_ms"), 0.99), 2),
        "refusal_ms_p50": round(percentile(all_of(over, "refusals_ms"), 0.5), 2),
        "health_ms_p99": round(percentile(all_of(over, "health_ms"), 0.99), 2),
        "modest_kept": _ratio(kept[1], kept[0], 3),
    }


def _ratio(value: float, usual: float, digits: int) -> float | None:
    return round(value / usual, digits) if usual else None


def all_of(rows: list[Row], what: str) -> list[float]:
    """Give the times that were probed in all offers."""
    return [took_ms for row in rows for took_ms in getattr(row.probed, what)]


def show(rows: list[Row], kept: tuple[float, float]) -> None:
    """Print the table."""
    print(f"capacity {CAPACITY:.0f} answers/s; load {os.getloadavg()[0]:.1f}")
    print(
        "offered   answers/s  refused/s  first word ms p50  p99  refusal ms p50  p99"
        "  health ms p50  p99  lag p99"
    )
    for one in rows:
        refusals, health = one.probed.refusals_ms, one.probed.health_ms
        print(
            f"{one.factor:>6.1f}× {one.goodput:>11.1f} {one.refused:>10.1f} {one.first_p50:>17.0f}"
            f" {one.first_p99:>5.0f} {percentile(refusals, 0.5):>14.1f}"
            f" {percentile(refusals, 0.99):>5.1f} {percentile(health, 0.5):>13.1f}"
            f" {percentile(health, 0.99):>5.1f} {one.lag_p99:>7.1f}"
        )
    print(f"a modest tenant: {kept[0]:.1f} answers/s alone, {kept[1]:.1f} beside a greedy one")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--seconds", type=float, default=15, help="length of each offer (15)")
    parser.add_argument("--seed", type=int, default=1, help="draws when answers are asked for (1)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also write a plot, SVG")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (address, keys):
        rows, kept = asyncio.run(
            measure(address, keys, seconds=arguments.seconds, seed=arguments.seed)
        )
    show(rows, kept)
    if arguments.plot:
        write_plot(
            arguments.plot,
            [(row.factor, row.goodput / CAPACITY) for row in rows],
            [(row.factor, row.first_p99) for row in rows],
        )
    if arguments.json:
        print(json.dumps(figures(rows, kept)))


if __name__ == "__main__":
    main()
