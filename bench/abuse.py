"""What a good client feels while somebody abuses both ports.

    python bench/abuse.py [--json] [--seconds 8]

A router with keys, quotas and audit on, before a fake vLLM; one client with a good key asks
over HTTP and over gRPC in turn, some times a second, first alone and then beside each attack.
The attacker is a process of its own with less right to the cores, as it would not run on
the router's machine.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.attacks import ATTACKS, Met, Target
from bench.secured import Secured, secured
from tame_router.chat import Sampling
from tame_router.client.async_client import AsyncClient

QUESTION = "租約到期了，房東一直不退押金，該怎麼辦？"
PAUSE_S = 0.05
SETTLE_S = 1.0


def _attack(name: str, target: Target, seconds: float, met: "multiprocessing.Queue[Met]") -> None:
    os.nice(10)
    met.put(ATTACKS[name](target, time.monotonic() + seconds))


@contextlib.contextmanager
def attacking(name: str, target: Target, seconds: float) -> Iterator["multiprocessing.Queue[Met]"]:
    """Run an attack in a process of its own; what it met is in the queue afterwards."""
    context = multiprocessing.get_context("spawn")
    met: multiprocessing.Queue[Met] = context.Queue()
    process = context.Process(target=_attack, args=(name, target, seconds, met))
    process.start()
    try:
        yield met
    finally:
        process.join(seconds + 20)
        process.kill()


async def _ask_http(session: aiohttp.ClientSession, router: Secured) -> bool:
    body = {"model": "tame-auto", "max_tokens": 8}
    body |= {"messages": [{"role": "user", "content": QUESTION}]}
    headers = {"Authorization": f"Bearer {router.key}"}
    url = f"http://{router.http}/v1/chat/completions"
    async with session.post(url, json=body, headers=headers) as response:
        await response.read()
        return response.status == 200


async def _ask_grpc(client: AsyncClient) -> bool:
    answer = await client.chat(QUESTION, sampling=Sampling(max_tokens=8))
    return bool(answer.content)


async def good_client(router: Secured, seconds: float) -> dict[str, float]:
    """Ask for some seconds, and give the times in milliseconds and the share answered."""
    times: list[float] = []
    answered = asked = 0
    async with (
        AsyncClient(router.grpc, api_key=router.key) as client,
        aiohttp.ClientSession() as session,
    ):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            begun = time.perf_counter()
            asked += 1
            try:
                async with asyncio.timeout(10):
                    one = _ask_grpc(client) if asked % 2 else _ask_http(session, router)
                    answered += await one
            except Exception as error:  # counted, and shown: a bench must not hide what it met
                print(f"  not answered: {type(error).__name__} {str(error)[:120]}")
            times.append((time.perf_counter() - begun) * 1e3)
            await asyncio.sleep(PAUSE_S)
    quantiles = statistics.quantiles(times, n=100)
    return {
        "p50_ms": round(quantiles[49], 1),
        "p99_ms": round(quantiles[98], 1),
        "answered": round(answered / asked, 4),
    }


def resident_mb(pid: int) -> float:
    """Give the memory a process holds, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(row for row in status.splitlines() if row.startswith("VmRSS:"))
    return round(int(line.split()[1]) / 1024, 1)


def measure(seconds: float) -> dict[str, dict[str, float]]:
    """Ask alone and beside each attack, and give the figures by attack."""
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, secured(Path(folder)) as router:
        target = Target(grpc=router.grpc, http=router.http)
        asyncio.run(good_client(router, 2))  # warm
        figures["alone"] = asyncio.run(good_client(router, seconds))
        figures["alone"]["rss_mb"] = resident_mb(router.pid)
        for name in ATTACKS:
            with attacking(name, target, seconds + SETTLE_S) as queue:
                time.sleep(SETTLE_S)
                figures[name] = asyncio.run(good_client(router, seconds - SETTLE_S))
                met = queue.get(timeout=seconds + 20)
            figures[name] |= {"tries": met.tries, "refused": met.refused}
            figures[name]["rss_mb"] = resident_mb(router.pid)
        figures["alone, afterwards"] = asyncio.run(good_client(router, seconds))
        figures["alone, afterwards"]["rss_mb"] = resident_mb(router.pid)
    return figures


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--seconds", type=float, default=8, help="of each attack (default: 8)")
    arguments = parser.parse_args()
    figures = measure(arguments.seconds)
    for name, row in figures.items():
        print(f"{name:<34}" + "".join(f"{key} {value:>9}  " for key, value in row.items()))
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
