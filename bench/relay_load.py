"""Asks for answers, so many at once, and notes what came of them."""

import asyncio
import contextlib
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.relay_lines import Exchange, GrpcLine, HttpLine, Line

STREAMS_PER_CONNECTION: Final = 64
"""Answers at once on one gRPC connection, unless a way says otherwise."""

LATE_S: Final = 90
"""Time that answers get which are under way when no more are asked for."""

OPEN_AT_ONCE: Final = 64
"""Answers that are being begun at a time, where many are held open."""

_TICKS: Final = 100
"""Of a second, in /proc. Source: proc(5), sysconf(_SC_CLK_TCK)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How answers are asked for.

    Attributes:
        address: `host:port`.
        requests: Asked in turn; from `http_request` or `grpc_request`.
        grpc: They are calls of gRPC.
        streams: Answers at once on one connection of gRPC; HTTP/1.1 carries one.
    """

    address: str
    requests: Sequence[bytes]
    grpc: bool = False
    streams: int = STREAMS_PER_CONNECTION


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a run.

    Attributes:
        answers: Answers that came whole.
        failed: Answers that did not.
        elapsed_s: Time it took.
        first_s: Times to the first words.
        gaps_s: Times between words, of all streams.
        load_cpu_s: CPU time of the load generator.
    """

    answers: int = 0
    failed: int = 0
    elapsed_s: float = 0.0
    first_s: list[float] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    load_cpu_s: float = 0.0

    def add(self, exchange: Exchange) -> None:
        """Take an answer that is over."""
        self.answers += exchange.whole
        self.failed += not exchange.whole
        if exchange.first is not None:
            self.first_s.append(exchange.first - exchange.begun)
        self.gaps_s += exchange.gaps

    def join(self, other: "Outcome") -> None:
        """Take what came of another run too."""
        self.answers += other.answers
        self.failed += other.failed
        self.elapsed_s += other.elapsed_s
        self.load_cpu_s += other.load_cpu_s
        self.first_s += other.first_s
        self.gaps_s += other.gaps_s


class Crowd:
    """So many who ask at once: each asks again as soon as its answer is over.

    Args:
        way: How they ask.
        streams: How many there are.
    """

    def __init__(self, way: Way, streams: int) -> None:
        self._way = way
        self._streams = streams
        self._requests = itertools.cycle(way.requests)
        self._outcome = Outcome()
        self._until = 0.0
        self._active = 0
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._lines: list[Line] = []

    async def connect(self) -> None:
        """Open the connections."""
        host, port = self._way.address.rsplit(":", 1)
        make: Callable[[], asyncio.Protocol] = lambda: HttpLine(self._done)  # noqa: E731
        count = self._streams
        if self._way.grpc:
            make = lambda: GrpcLine(self._done)  # noqa: E731
            count = -(-self._streams // self._way.streams)
        for _ in range(count):
            _, line = await self._loop.create_connection(make, host, int(port))
            self._lines.append(line)  # type: ignore[arg-type]

    async def run(self, seconds: float) -> Outcome:
        """Ask for so long, wait for the answers under way, and give what came.

        Those that are not there `LATE_S` after that are not counted.
        """
        self._outcome = Outcome()
        self._over.clear()
        begun, cpu = self._loop.time(), time.process_time()
        self._until = begun + seconds
        self._active = self._streams
        for number in range(self._streams):
            self._lines[number % len(self._lines)].ask(next(self._requests))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds + LATE_S):
                await self._over.wait()
        self._outcome.elapsed_s = self._loop.time() - begun
        self._outcome.load_cpu_s = time.process_time() - cpu
        return self._outcome

    async def hold(self, within_s: float) -> bool:
        """Open all streams and leave them open; False: not all had words in that time."""
        until = self._loop.time() + within_s
        opened: list[Exchange] = []
        for number in range(self._streams):
            line = self._lines[number % len(self._lines)]
            opened.append(line.ask(next(self._requests)))
            while sum(one.first is None for one in opened[-2 * OPEN_AT_ONCE :]) >= OPEN_AT_ONCE:
                if self._loop.time() > until:
                    return False
                await asyncio.sleep(0.001)
        while any(one.first is None for one in opened):
            if self._loop.time() > until:
                return False
            await asyncio.sleep(0.01)
        return True

    def close(self) -> None:
        """Close the connections, whatever is under way on them."""
        for line in self._lines:
            line.abort()

    def _done(self, line: Line, exchange: Exchange) -> None:
        self._outcome.add(exchange)
        if exchange.whole and self._loop.time() < self._until:
            line.ask(next(self._requests))
            return
        self._active -= 1
        if not self._active:
            self._over.set()


async def run(way: Way, streams: int, seconds: float) -> Outcome:
    """Ask so many at once for so long."""
    crowd = Crowd(way, streams)
    try:
        await crowd.connect()
        return await crowd.run(seconds)
    finally:
        crowd.close()


class Pairs:
    """Asks one at a time, directly and by other ways, in changing order.

    Args:
        ways: By name; each is asked once in a round.
    """

    def __init__(self, ways: dict[str, Way]) -> None:
        self._ways = ways

    async def run(self, rounds: int, warm_up: int) -> dict[str, list[float]]:
        """Give each way's times to the first words, in seconds, round by round."""
        crowds = {name: Crowd(way, 1) for name, way in self._ways.items()}
        times: dict[str, list[float]] = {name: [] for name in crowds}
        try:
            for crowd in crowds.values():
                await crowd.connect()
            names = list(crowds)
            for number in range(rounds + warm_up):
                turn = number % len(names)
                for name in names[turn:] + names[:turn]:
                    (first,) = (await crowds[name].run(0)).first_s
                    if number >= warm_up:
                        times[name].append(first)
        finally:
            for crowd in crowds.values():
                crowd.close()
        return times


def tree(pid: int) -> list[int]:
    """Give a process and all that descend from it."""
    found = [pid]
    for child in found:
        for listing in Path(f"/proc/{child}/task").glob("*/children"):
            found += map(int, listing.read_text(encoding="utf-8").split())
    return found


def cpu_s(pid: int) -> float:
    """Give the CPU time of a process and its children, in seconds."""
    ticks = 0
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def resident_mb(pid: int) -> float:
    """Give the memory that a process and its children hold, in MB."""
    kb = 0
    for one in tree(pid):
        status = Path(f"/proc/{one}/status").read_text(encoding="utf-8")
        kb += next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmRSS:"))
    return kb / 1024


@contextmanager
def timed_cpu(pids: dict[str, int]) -> Iterator[dict[str, float]]:
    """Measure the CPU time of processes, by name, in seconds; filled when the context ends."""
    begun = {name: cpu_s(pid) for name, pid in pids.items()}
    spent: dict[str, float] = {}
    yield spent
    spent |= {name: cpu_s(pid) - begun[name] for name, pid in pids.items()}


def p99(values: Sequence[float]) -> float:
    """Give the 99th of 100; 0 where there are fewer than two."""
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else 0.0
