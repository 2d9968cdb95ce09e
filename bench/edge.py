"""What the edge costs: identity, entitlement, quota, audit and telemetry, and both ways in.

    python bench/edge.py [--json] [--pairs 300] [--answers 2000]

`request_us` and `chunk_us` are CPU time of the whole process, its threads that write audit
records and quotas included: answers passed through reception and desk, less the same answers
passed through the pipeline alone, in turn in one run. Everything is as in service (an API
key, a tenant with four limits, SQLite, metrics) but the expert, which is scripted, so that
nothing else is in the difference; a slope over answers of different lengths gives the chunk.

`http_ttft_added_ms_p50` and `grpc_ttft_added_ms_p50` are the time to the first token through
a running router with a key, over each port, less that of asking the same fake vLLM directly,
in turn in one run.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.edge_cpu import cpu_us
from bench.overhead import QUESTION, WARM_UP_PAIRS, direct_s, routed_s
from bench.secured import Secured, secured
from tame_router import app
from tame_router.catalog.expert import Catalog
from tame_router.client.async_client import AsyncClient
from tame_router.config_file import load_settings


async def http_s(session: aiohttp.ClientSession, router: Secured) -> float:
    """Ask over HTTP, and give the time to the first piece of text, in seconds.

    Raises:
        RuntimeError: When none came.
    """
    body = {
        "model": "tame-auto",
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": True,
        "max_tokens": 16,
    }
    headers = {"Authorization": f"Bearer {router.key}"}
    begun = time.perf_counter()
    first: float | None = None
    url = f"http://{router.http}/v1/chat/completions"
    async with session.post(url, json=body, headers=headers) as response:
        response.raise_for_status()
        async for line in response.content:
            if first is None and line.startswith(b"data: {"):
                choices = json.loads(line[6:])["choices"]
                if choices and choices[0]["delta"].get("content"):
                    first = time.perf_counter() - begun
    if first is None:
        raise RuntimeError("the expert wrote nothing")
    return first


async def added_ms(router: Secured, pairs: int, catalog: Catalog) -> dict[str, list[float]]:
    """Ask in threes, in changing order, and give what each way adds, in milliseconds."""
    added: dict[str, list[float]] = {"http": [], "grpc": []}
    async with (
        AsyncClient(router.grpc, api_key=router.key) as client,
        aiohttp.ClientSession() as session,
    ):
        expert = catalog.expert((await client.route(QUESTION)).expert)
        ways = {
            "direct": lambda: direct_s(session, router.engine, expert.live_revision, expert.prompt),
            "http": lambda: http_s(session, router),
            "grpc": lambda: routed_s(client),
        }
        names = list(ways)
        for number in range(pairs + WARM_UP_PAIRS):
            order = names[number % 3 :] + names[: number % 3]
            times = {name: await ways[name]() for name in order}
            if number >= WARM_UP_PAIRS:
                for name, differences in added.items():
                    differences.append((times[name] - times["direct"]) * 1e3)
    return added


def measure(pairs: int, answers: int) -> dict[str, float]:
    """Run everything once, and give the figures by name."""
    catalog = app.build_catalog(load_settings())
    with tempfile.TemporaryDirectory() as folder:
        figures = cpu_us(Path(folder), answers)
        with secured(Path(folder)) as router:
            added = asyncio.run(added_ms(router, pairs, catalog))
    for name, differences in added.items():
        figures[f"{name}_ttft_added_ms_p50"] = round(statistics.median(differences), 3)
        p99 = statistics.quantiles(differences, n=100)[98]
        figures[f"{name}_ttft_added_ms_p99"] = round(p99, 3)
    return figures


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--pairs", type=int, default=300, help="rounds of questions (300)")
    parser.add_argument("--answers", type=int, default=2000, help="scripted answers (2000)")
    arguments = parser.parse_args()
    figures = measure(arguments.pairs, arguments.answers)
    for name, value in figures.items():
        print(f"{name:<26} {value:>10}")
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
