"""What the router costs: time to the first token through it and past it, in turn, in one run.

    python bench/overhead.py [--json] [--pairs 300] [--engine http://127.0.0.1:8100/v1 --key-file F]

Without `--engine` both ways lead to a fake vLLM in a process of its own that writes its
first token after 20 ms, so that what is left is the router's. Each pair asks once directly
and once through the router, in changing order; the figures are of the differences.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tame_router import app
from tame_router.catalog.expert import Catalog
from tame_router.chat import Sampling
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta
from tame_router.config_file import load_settings
from tame_router.trained_router import build_router

ROOT = Path(__file__).resolve().parent.parent
QUESTION = "租約到期了，房東一直不退押金，該怎麼辦？"
FIRST_TOKEN_MS = 20
WARM_UP_PAIRS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A child process that has told where it listens; `http` where it was asked to."""

    address: str
    pid: int
    start_s: float
    http: str = ""


@contextlib.contextmanager
def child(
    arguments: list[str],
    environment: Mapping[str, str],
    ready: str,
    then: str = "",
    log: Path | None = None,
) -> Iterator[Process]:
    """Run a program of this project until it prints a line that begins with `ready`.

    Args:
        arguments: The module and its arguments.
        environment: Variables for it.
        ready: Begins the line that tells its address.
        then: Begins the next line, which tells its HTTP address; empty: there is none.
        log: File for what it writes to standard error; None: it is thrown away.

    Raises:
        RuntimeError: When it ends before.
    """
    begun = time.perf_counter()
    with (log or Path(os.devnull)).open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    if process.stdout is None:
        raise RuntimeError("no pipe")
    try:
        for line in process.stdout:
            if line.startswith(ready):
                start_s = time.perf_counter() - begun
                yield Process(
                    address=line[len(ready) :].strip(' "}\n'),
                    pid=process.pid,
                    start_s=start_s,
                    http=process.stdout.readline()[len(then) :].strip() if then else "",
                )
                return
        raise RuntimeError(f"{arguments[0]} did not start")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


async def direct_s(session: aiohttp.ClientSession, url: str, model: str, prompt: str) -> float:
    """Ask the engine itself, and give the time to its first token, in seconds.

    Raises:
        RuntimeError: When it wrote nothing.
    """
    body = {
        "model": model,
        "messages": [
            {"role": "system", "content": prompt},
            {"role": "user", "content": QUESTION},
        ],
        "stream": True,
        "max_tokens": 16,
    }
    begun = time.perf_counter()
    first: float | None = None
    async with session.post(f"{url}/chat/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.content:
            if first is None and line.startswith(b"data: {"):
                delta = json.loads(line[6:])["choices"][0]["delta"]
                if delta.get("content"):
                    first = time.perf_counter() - begun
    if first is None:
        raise RuntimeError("the engine wrote nothing")
    return first


async def routed_s(client: AsyncClient) -> float:
    """Ask through the router, and give the time to the first delta, in seconds.

    Raises:
        RuntimeError: When no delta came.
    """
    begun = time.perf_counter()
    first: float | None = None
    async with client.stream(QUESTION, sampling=Sampling(max_tokens=16)) as events:
        async for event in events:
            if first is None and isinstance(event, Delta):
                first = time.perf_counter() - begun
    if first is None:
        raise RuntimeError("the expert wrote nothing")
    return first


async def added_ms(address: str, url: str, key: str, pairs: int, catalog: Catalog) -> list[float]:
    """Ask in pairs, and give what the router adds to the first token, in milliseconds.

    Both ways lead to the same adapter, with the same prompt.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    differences: list[float] = []
    async with AsyncClient(address) as client, aiohttp.ClientSession(headers=headers) as session:
        expert = catalog.expert((await client.route(QUESTION)).expert)
        target = (session, url, expert.live_revision, expert.prompt)
        for number in range(pairs + WARM_UP_PAIRS):
            if number % 2:
                routed, direct = await routed_s(client), await direct_s(*target)
            else:
                direct, routed = await direct_s(*target), await routed_s(client)
            if number >= WARM_UP_PAIRS:
                differences.append((routed - direct) * 1e3)
    return differences


def resident_mb(pid: int) -> float:
    """Give the memory a process holds, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(row for row in status.splitlines() if row.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def help_s() -> float:
    """Give the median time of `tame --help`, in seconds."""
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        command = [sys.executable, "-m", "tame_router", "--help"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def measure(pairs: int, engine: str, key_file: Path | None) -> dict[str, float]:
    """Run everything once, and give the figures by name."""
    settings = load_settings()
    catalog = app.build_catalog(settings)
    build_router(settings, catalog)  # trained ahead, as in service
    revisions = [e.live_revision for e in catalog.experts.values() if e.live]
    with contextlib.ExitStack() as stack:
        if not engine:
            fake = ["tests.fakes.vllm", f"--first-token-ms={FIRST_TOKEN_MS}", "--tokens=16"]
            fake += [f"--adapter={name}" for name in revisions]
            engine = stack.enter_context(child(fake, {}, '{"base_url": ')).address
        environment = {"TAME_BACKENDS__LOCAL__BASE_URL": engine, "TAME_SERVER__PORT": "0"}
        environment["TAME_SERVER__INSECURE"] = "true"  # loopback only
        environment["TAME_HTTP__PORT"] = "0"
        if key_file:
            environment["TAME_BACKENDS__LOCAL__API_KEY_FILE"] = str(key_file.resolve())
        router = stack.enter_context(child(["tame_router", "serve"], environment, "serving on "))
        key = key_file.read_text(encoding="utf-8").strip() if key_file else ""
        differences = asyncio.run(added_ms(router.address, engine, key, pairs, catalog))
        return {
            "ttft_added_ms_p50": round(statistics.median(differences), 3),
            "ttft_added_ms_p99": round(statistics.quantiles(differences, n=100)[98], 3),
            "start_s": round(router.start_s, 3),
            "help_s": round(help_s(), 3),
            "idle_rss_mb": round(resident_mb(router.pid), 1),
        }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--pairs", type=int, default=300, help="pairs of questions (default: 300)")
    parser.add_argument("--engine", default="", metavar="URL", help="a running vLLM, with its /v1")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="file with the engine's key")
    arguments = parser.parse_args()
    figures = measure(arguments.pairs, arguments.engine, arguments.key_file)
    for name, value in figures.items():
        print(f"{name:<20} {value:>10}")
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
