"""What the queue before a backend costs an answer that does not wait, in microseconds of CPU.

    python bench/queue_cost.py [--json] [--rounds 9] [--pieces 64]

The backend is one that writes without a server. Each round reads answers from it directly, and then
through the queue; told is the median of the differences, and what is left when a round is compared
with itself. And what a refusal costs, with a full queue of a thousand answers.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvloop

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tame_router.backends.backend import Backend, Generation, Piece
from tame_router.backends.queueing.limit import LimitRules
from tame_router.backends.queueing.places import Places
from tame_router.backends.queueing.queued import QueuedBackend
from tame_router.backends.queueing.spec import QueueSpec
from tame_router.errors import BackendOverloadedError
from tests.fakes.generations import generation

ANSWERS: Final = 400
WAITING: Final = 1_000


class Scripted:
    """Writes the same pieces every time, at once.

    Args:
        pieces: Pieces of an answer.
    """

    def __init__(self, pieces: int) -> None:
        self._pieces = [Piece(text="word ") for _ in range(pieces)]

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncIterator[AsyncIterator[Piece]]:
        """Write an answer."""
        yield _Read(self._pieces)

    async def context_tokens(self) -> int | None:
        """Say nothing."""
        return None

    async def ready(self) -> bool:
        """Be ready."""
        return True

    async def close(self) -> None:
        """Hold nothing."""


class _Read:
    def __init__(self, pieces: list[Piece]) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self) -> "_Read":
        return self

    async def __anext__(self) -> Piece:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


async def answer_us(backend: Backend) -> float:
    """Give the CPU time of one answer."""
    asked = generation()
    begun = time.process_time()
    for _ in range(ANSWERS):
        async with backend.open(asked) as pieces:
            async for _ in pieces:
                pass
    return (time.process_time() - begun) / ANSWERS * 1e6


async def refusal_us() -> float:
    """Give the CPU time of one refusal, where a thousand wait."""
    spec = QueueSpec(limit=LimitRules(start=1, least=1, most=1), length=WAITING)
    places = Places(spec)
    places.free("")
    asked, now = generation(), asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(places.turn(asked, now)) for _ in range(WAITING)]
        await asyncio.sleep(0)
        begun = time.process_time()
        for _ in range(ANSWERS):
            try:
                await places.turn(asked, now)
            except BackendOverloadedError:
                continue
        spent_us = (time.process_time() - begun) / ANSWERS * 1e6
        for task in waiting:
            task.cancel()
    return spent_us


async def measure(rounds: int, pieces: int) -> dict[str, float]:
    """Measure in turn."""
    direct = Scripted(pieces)
    queued = QueuedBackend(direct, QueueSpec())
    added, noise, refusals = [], [], []
    for _ in range(rounds):
        first = await answer_us(direct)
        added.append(await answer_us(queued) - first)
        noise.append(await answer_us(direct) - first)
        refusals.append(await refusal_us())
    return {
        "added_us": round(statistics.median(added), 1),
        "noise_us": round(statistics.median(map(abs, noise)), 1),
        "refusal_us": round(statistics.median(refusals), 1),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each")
    parser.add_argument("--pieces", type=int, default=64, help="pieces of an answer")
    arguments = parser.parse_args()
    figures = uvloop.run(measure(arguments.rounds, arguments.pieces))
    print(
        f"an answer of {arguments.pieces} pieces costs {figures['added_us']:g} µs more through the"
        f" queue (noise {figures['noise_us']:g} µs); a refusal {figures['refusal_us']:g} µs"
    )
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
