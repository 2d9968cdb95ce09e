"""Tokens a second, first words and gaps of a real vLLM with up to 16 adapters, and of the router.

    python bench/gpu/many_adapters.py [--json] [--adapters 0,1,4,8,16] [--streams 1,64,256]

vLLM runs the shape of Llama-3-8B with dummy weights and random adapters on all projections: no
weights need to be had, and what is computed is as much as with real ones. Each number of adapters
is an engine of its own with room for so many; 0 is one without LoRA. Each is asked for the base
model alone, for one adapter, and for all of them in turn; before the last, the same questions are
asked by way of the router, which decides whom they are for, and of the engine itself.

Without a CUDA device nothing is measured: it says so and ends with 0. `--shape tiny --device cpu`
goes the same way on a CPU, which shows that the command works and nothing else.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.gpu.load import Endpoint, Figures, load
from bench.gpu.shape import SHAPES
from bench.gpu.site import Plan, Site
from tame_router.backends.engine.base_model import cuda_present
from tests.fakes.vllm import BASE_MODEL

SKIPPED: Final = "no CUDA device"
COLUMNS: Final = (
    "answers",
    "failed",
    "tokens_s",
    "ttft_ms_p50",
    "ttft_ms_p99",
    "gap_ms_p50",
    "gap_ms_p99",
    "prompt_tokens",
)
ROUTED: Final = "the router"
DIRECT: Final = "the engine itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Figures of one load.

    Attributes:
        adapters: Adapters that the engine had room for.
        asked: Whom the questions were for, or by which way they went.
        streams: Answers at once.
        figures: What it took.
    """

    adapters: int
    asked: str
    streams: int
    figures: Figures


def measure(plan: Plan, adapters: Sequence[int], streams: Sequence[int], rounds: int) -> list[Row]:
    """Run everything once, and give the figures, in the order in which they came.

    Args:
        plan: What is run.
        adapters: Numbers of adapters.
        streams: Numbers of answers at once.
        rounds: Answers of each stream.
    """
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), plan)
        for count in adapters:
            print(f"an engine with {count} adapters is being started", flush=True)
            with site.engine(count) as engine:
                for asked, names in _cases(site, count).items():
                    rows += _loads(count, asked, engine, streams, rounds, _turns(site, names))
                if count == max(adapters) and site.routable:
                    rows += _both_ways(site, count, engine, streams, rounds)
    return rows


def _cases(site: Site, count: int) -> dict[str, list[str]]:
    cases = {"the base model": [BASE_MODEL]}
    if count:
        cases["one adapter"] = site.names[:1]
    if count > 1:
        cases[f"{count} adapters in turn"] = site.names[:count]
    return cases


def _turns(site: Site, names: Sequence[str]) -> Callable[[int], list[dict[str, Any]]]:
    return lambda count: site.asks(names, count)


def _both_ways(
    site: Site, count: int, engine: Endpoint, streams: Sequence[int], rounds: int
) -> list[Row]:
    """Ask experts' questions by way of a router and of the engine itself, turn about."""
    rows: list[Row] = []
    with site.router(engine) as router:
        for many in streams:
            for asked, endpoint in ((DIRECT, engine), (ROUTED, router)):

                def asks(number: int, *, routed: bool = asked == ROUTED) -> list[dict[str, Any]]:
                    return site.asks_of_experts(number, routed=routed)

                rows += _loads(count, asked, endpoint, [many], rounds, asks)
    return rows


def _loads(
    adapters: int,
    asked: str,
    endpoint: Endpoint,
    streams: Sequence[int],
    rounds: int,
    asks: Callable[[int], list[dict[str, Any]]],
) -> list[Row]:
    """Load an endpoint with each number of streams, after a few answers to warm it up."""
    asyncio.run(load(endpoint, asks(max(adapters, 1)), 1))
    rows = []
    for many in streams:
        figures = asyncio.run(load(endpoint, asks(many * rounds), many))
        rows.append(Row(adapters=adapters, asked=asked, streams=many, figures=figures))
        print(f"{adapters} adapters, {asked}, {many} streams: {figures.tokens_s:g} tokens/s")
    return rows


def table(rows: Sequence[Row]) -> str:
    """Give the figures as a Markdown table."""
    lines = [
        f"| adapters | asked | streams | {' | '.join(COLUMNS)} |",
        f"|--:|---|--:|{'--:|' * len(COLUMNS)}",
    ]
    for row in rows:
        figures = asdict(row.figures)
        shown = (figures[name] for name in COLUMNS)
        told = " | ".join("–" if value is None else f"{value:,}" for value in shown)
        lines.append(f"| {row.adapters} | {row.asked} | {row.streams} | {told} |")
    return "\n".join(lines)


def document(plan: Plan, rows: Sequence[Row]) -> dict[str, Any]:
    """Give the figures, and what they are of, as one JSON object."""
    return {"plan": asdict(plan), "rows": [asdict(row) for row in rows]}


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="llama-3-8b")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--adapters", type=_numbers, default=[0, 1, 4, 8, 16], metavar="N,…")
    parser.add_argument("--streams", type=_numbers, default=[1, 64, 256], metavar="N,…")
    parser.add_argument("--rank", type=int, default=16, help="of the adapters")
    parser.add_argument("--tokens", type=int, default=128, help="of an answer")
    parser.add_argument("--rounds", type=int, default=4, help="answers of each stream")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not cuda_present():
        print("not measured: no GPU here; --shape tiny --device cpu only shows that it works")
        print(json.dumps({"skipped": SKIPPED}))
        return
    plan = Plan(
        shape=arguments.shape,
        device=arguments.device,
        rank=arguments.rank,
        most_adapters=max(arguments.adapters),
        tokens=arguments.tokens,
    )
    rows = measure(plan, arguments.adapters, arguments.streams, arguments.rounds)
    print(table(rows))
    if arguments.json:
        print(json.dumps(document(plan, rows)))
    sys.exit(any(row.figures.failed for row in rows))


if __name__ == "__main__":
    main()
