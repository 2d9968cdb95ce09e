"""Does anything stay behind? Requests with cancels, deadlines and faults, over both ports.

    python bench/leaks.py [--requests 100000] [--seed 1] [--at-once 32] [--json]

A real router runs in this process, in front of two fake vLLM servers. A seed draws for each
request its port, whether its caller leaves in the middle or sets a deadline that may be too
short, and whether the server that gets it hangs up, resets, refuses, truncates or writes
garbage. After a warm-up of the same kind everything is counted: file descriptors, asyncio
tasks, connections to the servers, memory. After the run it is counted again, once what is
under way has ended; the first three must be what they were. Ends with 1 where they are not, or
where the memory has grown by more than `--most-mb`.

Clients and fakes live in this process too, so a leak of theirs would be seen here as well.
"""

import argparse
import asyncio
import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.overhead import resident_mb
from bench.small_site import small_site
from tame_router import app
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tame_router.errors import TameError
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Cut, Fault, Garble, HangUp, Pace, Raw, Refuse, Split, Truncate
from tests.small_experts import QUESTIONS

PACE: Final = Pace(first_token_s=0.002, token_s=0.001, answer_tokens=12)
BACKEND: Final = {
    "replicas": {"health_interval_s": 60, "metrics_interval_s": 0, "cool_down_s": 0.05}
}
"""Looks at servers so far apart that none of them is under way when it is counted: each leaves a
connection open for a while, and those of several servers would never all be closed at once."""
ASKED: Final = tuple(text for texts in QUESTIONS.values() for text in texts)
FAULTS: Final[tuple[Fault, ...]] = (
    HangUp(),
    Cut(after_events=3),
    Cut(after_events=3, reset=True),
    Cut(after_bytes=40),
    Refuse(status=500),
    Refuse(status=429),
    Refuse(status=503, headers=(("Retry-After", "1"),)),
    Truncate(events=4),
    Garble(after_events=3),
    Raw(body=b"data: {}\n\n"),
    Split(size=7),
)
FAULT_SHARE, LEAVE_SHARE, HURRY_SHARE, HTTP_SHARE = 0.15, 0.2, 0.15, 0.5
BATCH: Final = 500
"""Requests between two looks; the fakes' notes are thrown away then."""
SETTLE_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is there at a moment when nobody asks anything.

    Attributes:
        descriptors: Open file descriptors of the process.
        tasks: Tasks of the event loop.
        connections: Connections that the fakes hold open.
        memory_mb: Resident memory.
    """

    descriptors: int
    tasks: int
    connections: int
    memory_mb: float

    def settled(self, before: "Standing") -> bool:
        """Tell whether all that is counted exactly is what it was."""
        return (self.descriptors, self.tasks, self.connections) == (
            before.descriptors,
            before.tasks,
            before.connections,
        )


@dataclass(slots=True, kw_only=True)
class Found:
    """What a run found.

    Attributes:
        before: After the warm-up.
        after: At the end.
        outcomes: How requests ended, by name.
    """

    before: Standing
    after: Standing
    outcomes: Counter[str] = field(default_factory=Counter)


class Callers:
    """Sends what is drawn.

    Args:
        grpc: Address of the gRPC port.
        http: Address of the HTTP port.
        fakes: Told what is to go wrong.
        seed: Draws.
    """

    def __init__(self, grpc: str, http: str, fakes: Sequence[FakeVllm], seed: int) -> None:
        self._grpc = grpc
        self._url = f"http://{http}/v1/chat/completions"
        self._fakes = fakes
        self._draw = Random(seed)
        self.outcomes: Counter[str] = Counter()

    async def send(self, requests: int, at_once: int) -> None:
        """Send so many requests, so many at once, over fresh connections."""
        for begun in range(0, requests, BATCH):
            turns = iter(range(min(BATCH, requests - begun)))
            async with (
                AsyncClient(self._grpc, attempts=1) as client,
                aiohttp.ClientSession() as session,
                asyncio.TaskGroup() as group,
            ):
                for _ in range(at_once):
                    group.create_task(self._ask_on(turns, client, session))
            for fake in self._fakes:
                fake.forgive()
                fake.forget()

    async def _ask_on(
        self, turns: Any, client: AsyncClient, session: aiohttp.ClientSession
    ) -> None:
        draw = self._draw
        for _ in turns:
            if draw.random() < FAULT_SHARE:
                draw.choice(self._fakes).next(draw.choice(FAULTS))
            leave = draw.randrange(8) if draw.random() < LEAVE_SHARE else None
            hurry_s = draw.uniform(0.001, 0.03) if draw.random() < HURRY_SHARE else None
            question = draw.choice(ASKED)
            if draw.random() < HTTP_SHARE:
                outcome = await self._http(session, question, leave, hurry_s)
            else:
                outcome = await self._stream(client, question, leave, hurry_s)
            self.outcomes[outcome] += 1

    async def _stream(
        self, client: AsyncClient, question: str, leave: int | None, hurry_s: float | None
    ) -> str:
        """Ask over gRPC, and say how it ended."""
        seen = 0
        try:
            async with client.stream(question, timeout_s=hurry_s) as events:
                async for _ in events:
                    if seen == leave:
                        return "left"
                    seen += 1
        except TameError as error:
            return error.reason
        return "whole"

    async def _http(
        self,
        session: aiohttp.ClientSession,
        question: str,
        leave: int | None,
        hurry_s: float | None,
    ) -> str:
        """Ask over HTTP, and say how it ended."""
        body = {
            "model": "tame-auto",
            "messages": [{"role": "user", "content": question}],
            "stream": True,
        }
        headers = {} if hurry_s is None else {"x-request-timeout-s": f"{hurry_s:.3f}"}
        seen, last = 0, b""
        async with session.post(self._url, json=body, headers=headers) as response:
            if response.status != 200:
                return f"HTTP {response.status}"
            async for line in response.content:
                if seen == leave:
                    response.close()
                    return "left"
                seen += 1
                last = line.strip() or last
        return "whole" if last == b"data: [DONE]" else "HTTP, told in the stream"


def stand(fakes: Sequence[FakeVllm]) -> Standing:
    """Count what is there."""
    gc.collect()
    return Standing(
        descriptors=sum(1 for _ in Path("/proc/self/fd").iterdir()),
        tasks=len(asyncio.all_tasks()),
        connections=sum(fake.connections for fake in fakes),
        memory_mb=round(resident_mb(os.getpid()), 1),
    )


async def settle(fakes: Sequence[FakeVllm], before: Standing | None = None) -> Standing:
    """Count when all that is under way has ended; as it is where that takes too long.

    Args:
        fakes: The servers.
        before: What it is to be again; None: no connections, and the same twice in a row.
    """
    until = asyncio.get_running_loop().time() + SETTLE_S
    last: Standing | None = None
    while True:
        now = stand(fakes)
        wanted = before or last
        if wanted is not None and now.settled(wanted) and (before or not now.connections):
            return now
        if asyncio.get_running_loop().time() > until:
            return now
        last = now
        await asyncio.sleep(0.5)


async def run(
    settings: Settings, fakes: Sequence[FakeVllm], *, requests: int, seed: int, at_once: int
) -> Found:
    """Run a router of these settings against these fakes, and count before and after."""
    addresses: list[str] = []
    async with app.running(settings, announce_http=addresses.append) as grpc:
        callers = Callers(grpc, addresses[0], fakes, seed)
        await callers.send(min(2_000, max(requests // 4, 100)), at_once)
        before = await settle(fakes)
        callers.outcomes.clear()
        await callers.send(requests, at_once)
        return Found(before=before, after=await settle(fakes, before), outcomes=callers.outcomes)


def measure(requests: int, seed: int, at_once: int) -> Found:
    """Set everything up in a folder of its own, run, and give what was found."""
    with small_site(2, PACE, BACKEND) as site:
        return asyncio.run(
            run(site.settings, site.fakes, requests=requests, seed=seed, at_once=at_once)
        )


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000, help="after the warm-up")
    parser.add_argument("--seed", type=int, default=1, help="draws requests and faults")
    parser.add_argument("--at-once", type=int, default=32, help="requests under way at once")
    parser.add_argument("--most-mb", type=float, default=64, help="growth that is forgiven (64)")
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    options = parser.parse_args()
    found = measure(options.requests, options.seed, options.at_once)
    for outcome, count in found.outcomes.most_common():
        print(f"{count:>8} × {outcome}")
    before, after = asdict(found.before), asdict(found.after)
    for name, value in before.items():
        print(f"{name:<12} {value:>8} → {after[name]}")
    if options.json:
        print(json.dumps({"before": before, "after": after, "outcomes": found.outcomes}))
    grown_mb = found.after.memory_mb - found.before.memory_mb
    return int(not found.after.settled(found.before) or grown_mb > options.most_mb)


if __name__ == "__main__":
    sys.exit(main())
