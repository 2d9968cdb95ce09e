"""The real queue before a simulated server, on a clock that does not wait: overload without noise.

    python bench/overload_model.py [--json] [--seconds 60] [--seeds 3]

Offered is so many times what the server can write, at moments drawn from a Poisson process, as in
`bench/overload.py`; but no time passes, so that minutes at hundreds of answers a second take
seconds, and nothing but the queue and its limit decides. Told are answers in percent of what the
server can write, the median time to the first word, and its 99th percentile over that at 0.9 times
the capacity; then what a tenant that wants three tenths keeps beside one that wants ten times.
"""

import argparse
import asyncio
import json
import selectors
import statistics
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec

from bench.overload_load import percentile
from tame_router.backends.backend import Generation, Piece
from tame_router.backends.queueing.limit import LimitRules
from tame_router.backends.queueing.queued import QueuedBackend
from tame_router.backends.queueing.spec import QueueSpec
from tame_router.errors import BackendOverloadedError
from tests.fakes.generations import generation

FACTORS: Final = (0.9, 1.0, 1.5, 2.0, 5.0, 10.0)
USUAL: Final = FACTORS[0]
_WARM: Final = 2.0
_MODEST: Final = 0.3


class _Selector(selectors.DefaultSelector):
    """Waits for nothing: the clock is moved instead."""

    loop: "ModelLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Move the clock to the next thing that is to happen."""
        if timeout is None:
            raise RuntimeError("nothing is ever going to happen")
        self.loop.now += max(timeout, 0.0)
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        return ready


class ModelLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes as fast as things happen."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.now = 0.0
        super().__init__(selector)

    def time(self) -> float:
        """Give the simulated time, in seconds."""
        return self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A simulated server, and the settings of the queue before it.

    Attributes:
        places: Answers that it writes at once.
        first_s: Time to the first token where nothing waits, times 0.9 to 1.3.
        writing_s: Time of the rest, times 1 ± `spread`.
        spread: How different answers are, in [0, 1].
        crowd_s: What each other answer under way adds to the first token.
        wait_s: Longest wait in the queue.
        limit: Where the limit begins, and how far it goes.
    """

    places: int
    first_s: float
    writing_s: float
    spread: float = 0.6
    crowd_s: float = 0.0
    wait_s: float = 2.0
    limit: LimitRules = field(default_factory=LimitRules)

    @property
    def rate(self) -> float:
        """Answers a second that it can write."""
        crowd_s = self.crowd_s * (self.places - 1)
        return self.places / (1.1 * self.first_s + crowd_s + self.writing_s)


SERVERS: Final = {
    "the bench's": Server(
        places=12,
        first_s=0.182,
        writing_s=0.8,
        spread=0.0,
        wait_s=0.4,
        limit=LimitRules(start=64, least=4, most=256, wait_s=0.05),
    ),
    "8, 1 s": Server(places=8, first_s=0.15, writing_s=1),
    "16, 5 s": Server(places=16, first_s=0.3, writing_s=5),
    "64, 3 s": Server(places=64, first_s=0.1, writing_s=3, crowd_s=0.004),
    "64, 20 s": Server(places=64, first_s=0.3, writing_s=20),
    "256, 10 s": Server(places=256, first_s=0.3, writing_s=10),
}


class Engine:
    """Writes answers on the simulated clock."""

    def __init__(self, server: Server, seed: int) -> None:
        self._server = server
        self._draw = Random(f"engine {seed}")
        self._free = server.places
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncIterator[AsyncIterator[Piece]]:
        """Write an answer of two pieces."""
        words = self._write()
        try:
            yield words
        finally:
            await words.aclose()

    async def _write(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._free:
            self._free -= 1
        else:
            place = loop.create_future()
            self._waiting.append(place)
            await place
        try:
            server, draw = self._server, self._draw
            crowd_s = server.crowd_s * (server.places - self._free - 1)
            await asyncio.sleep(server.first_s * draw.uniform(0.9, 1.3) + crowd_s)
            yield Piece(text="word")
            await asyncio.sleep(
                server.writing_s * draw.uniform(1 - server.spread, 1 + server.spread)
            )
            yield Piece(text="s")
        finally:
            if self._waiting:
                self._waiting.popleft().set_result(None)
            else:
                self._free += 1

    async def context_tokens(self) -> int | None:
        """Say nothing."""
        return None

    async def ready(self) -> bool:
        """Be ready."""
        return True

    async def close(self) -> None:
        """Hold nothing."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """What came of one caller's answers.

    Attributes:
        answered: Answers that ended while it was counted.
        firsts_s: Times to the first word of those that were asked for in that time.
    """

    answered: int = 0
    firsts_s: list[float] = field(default_factory=list)


class Offer:
    """Asks one queue for some time.

    Args:
        backend: The queue, and the server behind it.
        seconds: How long is counted.
        settle_s: How long is asked before.
    """

    def __init__(self, backend: QueuedBackend, *, seconds: float, settle_s: float) -> None:
        self._backend = backend
        self._loop = asyncio.get_running_loop()
        self._from = self._loop.time() + settle_s
        self._until = self._from + seconds

    async def by(self, rates: dict[str, float], seed: int) -> dict[str, Seen]:
        """Ask as often as each tenant does, in a second, and give what came of it."""
        seen = {tenant: Seen() for tenant in rates}
        async with asyncio.TaskGroup() as group:
            for tenant, rate in rates.items():
                draw = Random(f"{seed} {tenant} {rate}")
                group.create_task(self._ask_on(tenant, rate, draw, group, seen[tenant]))
        return seen

    async def _ask_on(
        self, tenant: str, rate: float, draw: Random, group: asyncio.TaskGroup, seen: Seen
    ) -> None:
        asked = msgspec.structs.replace(generation(), tenant=tenant)
        while self._loop.time() < self._until:
            await asyncio.sleep(draw.expovariate(rate))
            group.create_task(self._ask(asked, seen))

    async def _ask(self, asked: Generation, seen: Seen) -> None:
        came, first_s = self._loop.time(), None
        try:
            async with self._backend.open(asked) as pieces:
                async for _ in pieces:
                    if first_s is None:
                        first_s = self._loop.time() - came
        except BackendOverloadedError:
            return
        if self._from <= came < self._until and first_s is not None:
            seen.firsts_s.append(first_s)
        seen.answered += self._from <= self._loop.time() < self._until


async def overload(server: Server, *, seconds: float, seed: int) -> dict[str, float]:
    """Offer a server all there is to offer; see `figures` for what is given."""
    answer_s = server.first_s + server.writing_s
    spec = QueueSpec(wait_s=server.wait_s, limit=server.limit)
    backend = QueuedBackend(Engine(server, seed), spec)
    seconds, settle_s = max(seconds, 5 * answer_s), max(3.0, 3 * answer_s)

    async def offered(**factors: float) -> dict[str, Seen]:
        rates = {tenant: factor * server.rate for tenant, factor in factors.items()}
        return await Offer(backend, seconds=seconds, settle_s=settle_s).by(rates, seed)

    await offered(a=_WARM)
    found = {factor: (await offered(a=factor))["a"] for factor in FACTORS}
    alone = (await offered(modest=_MODEST))["modest"].answered
    beside = (await offered(modest=_MODEST, greedy=FACTORS[-1]))["modest"].answered
    usual = percentile(found[USUAL].firsts_s, 0.99)
    figures = {"usual_p99_s": usual, "modest_kept": beside / alone}
    for factor, seen in found.items():
        figures[f"{factor:g}x"] = seen.answered / seconds / server.rate
        if factor > USUAL:
            figures[f"{factor:g}x_p50_s"] = percentile(seen.firsts_s, 0.5)
            figures[f"{factor:g}x_p99_ratio"] = percentile(seen.firsts_s, 0.99) / usual
    return figures


def run(server: Server, *, seconds: float, seed: int) -> dict[str, float]:
    """Give the figures of one server, with one seed."""
    with asyncio.Runner(loop_factory=ModelLoop) as runner:
        return runner.run(overload(server, seconds=seconds, seed=seed))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--seconds", type=float, default=60, help="simulated length of an offer")
    parser.add_argument("--seeds", type=int, default=3, help="runs; the median is told")
    arguments = parser.parse_args()
    told = {}
    print(f"{'':<14}{'p99 at 0.9x':>14}" + "".join(f"{f'{f:g}x':>26}" for f in FACTORS[1:]))
    for title, server in SERVERS.items():
        runs = [run(server, seconds=arguments.seconds, seed=s) for s in range(arguments.seeds)]
        row = {key: round(statistics.median(r[key] for r in runs), 3) for key in runs[0]}
        told[title] = row
        cells = (
            f"{row[f'{f:g}x']:.0%} {row[f'{f:g}x_p50_s']:.2f} s {row[f'{f:g}x_p99_ratio']:.2f}"
            for f in FACTORS[1:]
        )
        print(
            f"{title:<14}{row['usual_p99_s']:>12.2f} s"
            + "".join(f"{c:>26}" for c in cells)
            + f"   modest {row['modest_kept']:.0%}"
        )
    if arguments.json:
        print(json.dumps(told))


if __name__ == "__main__":
    main()
