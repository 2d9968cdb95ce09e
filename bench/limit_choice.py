"""Which limit keeps a server busy without a queue in it: four of them, before simulated servers.

    python bench/limit_choice.py [--json] [--seconds 600] [--seed 1]

No sockets and no clock: a server with so many places writes answers of drawn lengths, more are
asked for than it can write, and a limit decides how many it is given at once. Told are answers in
percent of what the server can write, and the wait in the server, in percent of an answer's time.
"""

import argparse
import heapq
import json
import math
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, Protocol

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tame_router.backends.queueing.limit import AdaptiveLimit, LimitRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A simulated server.

    Attributes:
        places: Answers that it writes at once.
        first_s: Time to read a prompt, and to write the first token, when nobody else is there.
        writing_s: Mean time of the rest.
        crowd_s: What each other answer under way adds to the first token.
        cold: Share of answers whose adapter has to be loaded first, which takes 3 s.
        long: Share of prompts that take ten times as long to read.
        shrinks: Half of the places are gone in the second half of the run.
    """

    places: int
    first_s: float
    writing_s: float
    crowd_s: float = 0.0
    cold: float = 0.0
    long: float = 0.0
    shrinks: bool = False


SERVERS: Final = {
    "long answers": Server(places=256, first_s=0.3, writing_s=10),
    "short answers": Server(places=10, first_s=0.05, writing_s=0.2),
    "one token, batched": Server(places=64, first_s=0.03, writing_s=0.02, crowd_s=0.004),
    "half of it goes": Server(places=128, first_s=0.3, writing_s=5, shrinks=True),
    "cold adapters": Server(places=64, first_s=0.2, writing_s=5, cold=0.1),
    "long prompts": Server(places=64, first_s=0.1, writing_s=3, long=0.3),
}
COLD_S: Final = 3.0
START: Final = 256


class Limit(Protocol):
    """A limit under trial."""

    value: int

    def asked(self, answer: int, *, began: float, crowded: bool) -> None:
        """Take note of an answer; see `AdaptiveLimit`."""

    def heard(self, answer: int) -> None:
        """Take note that it has begun."""

    def first_token(self, *, began: float, now: float, prompt_chars: int) -> float | None:
        """Take note of a first token; see `AdaptiveLimit`."""

    def ended(self, *, held_s: float, waited_s: float | None) -> None:
        """Take note of an end."""


class Fixed:
    """No limit to speak of."""

    def __init__(self) -> None:
        self.value = START

    def asked(self, answer: int, *, began: float, crowded: bool) -> None:
        """Learn nothing."""

    def heard(self, answer: int) -> None:
        """Learn nothing."""

    def first_token(self, *, began: float, now: float, prompt_chars: int) -> float | None:
        """Learn nothing."""

    def ended(self, *, held_s: float, waited_s: float | None) -> None:
        """Learn nothing."""


class Gradient(Fixed):
    """Netflix' Gradient2: the long mean of times to the first token, over the one just seen."""

    def __init__(self) -> None:
        super().__init__()
        self._exact = float(START)
        self._long = 0.0
        self._crowded = False

    def asked(self, answer: int, *, began: float, crowded: bool) -> None:
        """Remember whether all places are taken."""
        self._crowded = crowded

    def first_token(self, *, began: float, now: float, prompt_chars: int) -> float | None:
        """Move with every token."""
        first_s = now - began
        self._long += (first_s - self._long) / 600 if self._long else first_s
        if self._long / first_s > 2:
            self._long *= 0.95
        if self._crowded:
            gradient = max(0.5, min(1.0, 1.5 * self._long / first_s))
            wanted = self._exact * gradient + 4
            self._exact = min(max(self._exact * 0.8 + wanted * 0.2, 8), 1024)
            self.value = round(self._exact)
        return None


class Halving(Fixed):
    """AIMD: one more for each window whose first tokens are in time, a tenth less otherwise.

    In time: within twice the shortest that was ever seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self._exact = float(START)
        self._least_s = math.inf
        self._since = -math.inf
        self._crowded = False

    def asked(self, answer: int, *, began: float, crowded: bool) -> None:
        """Remember whether all places are taken."""
        self._crowded = crowded

    def first_token(self, *, began: float, now: float, prompt_chars: int) -> float | None:
        """Look at the first token of each round."""
        first_s = now - began
        self._least_s = min(self._least_s, first_s)
        late = first_s > 2 * self._least_s
        if late and began >= self._since:
            self._exact, self._since = max(self._exact * 0.9, 8), now
        elif self._crowded and not late:
            self._exact = min(self._exact + 1 / self._exact, 1024)
        self.value = round(self._exact)
        return None


LIMITS: Final[dict[str, Callable[[], Limit]]] = {
    "fixed at 256": Fixed,
    "gradient": Gradient,
    "AIMD": Halving,
    "this one": lambda: AdaptiveLimit(LimitRules()),
}


@dataclass(slots=True, kw_only=True)
class Answer:
    """One answer under way."""

    began: float
    chars: int
    first_s: float
    writing_s: float
    waited_s: float | None = None
    first_at: float = 0.0


class Simulation:
    """One server with one limit before it, asked for more than it can write.

    Args:
        server: The server.
        limit: The limit.
        seed: Draws answers.
    """

    def __init__(self, server: Server, limit: Limit, seed: int) -> None:
        self._server = server
        self._limit = limit
        self._draw = Random(seed)
        self._now = 0.0
        self._given = 0
        self._free = server.places
        self._waiting: deque[Answer] = deque()
        self._events: list[tuple[float, int, str, Answer]] = []
        self._number = 0
        self.written = 0.0
        self.waits: list[float] = []

    def run(self, seconds: float) -> None:
        """Let it run."""
        shrinks_at = seconds / 2 if self._server.shrinks else math.inf
        self._fill()
        while self._now < seconds:
            self._now, _, what, answer = heapq.heappop(self._events)
            if self._now >= shrinks_at:
                self._free -= self._server.places // 2
                shrinks_at = math.inf
            if what == "first":
                self._limit.heard(id(answer))
                answer.waited_s = self._limit.first_token(
                    began=answer.began,
                    now=self._now,
                    prompt_chars=answer.chars,
                )
                self._at(answer.writing_s, "end", answer)
            else:
                self._end(answer)
            self._fill()

    def _end(self, answer: Answer) -> None:
        self._free += 1
        self._given -= 1
        held_s = self._now - answer.began
        self._limit.ended(held_s=held_s, waited_s=answer.waited_s)
        self.written += answer.first_s + answer.writing_s
        self.waits.append(held_s - answer.first_s - answer.writing_s)
        while self._free > 0 and self._waiting:
            self._take(self._waiting.popleft())

    def _fill(self) -> None:
        while self._given < self._limit.value:
            self._given += 1
            answer = self._answer()
            crowded = self._given >= self._limit.value
            self._limit.asked(id(answer), began=self._now, crowded=crowded)
            if self._free > 0:
                self._take(answer)
            else:
                self._waiting.append(answer)

    def _take(self, answer: Answer) -> None:
        self._free -= 1
        crowd_s = self._server.crowd_s * (self._server.places - self._free - 1)
        self._at(answer.first_s + crowd_s, "first", answer)

    def _answer(self) -> Answer:
        server, draw = self._server, self._draw
        long = draw.random() < server.long
        first_s = server.first_s * (10 if long else 1) * draw.uniform(0.9, 1.3)
        if draw.random() < server.cold:
            first_s += COLD_S
        return Answer(
            began=self._now,
            chars=8_000 if long else 800,
            first_s=first_s,
            writing_s=server.writing_s * draw.uniform(0.4, 1.6),
        )

    def _at(self, after_s: float, what: str, answer: Answer) -> None:
        self._number += 1
        heapq.heappush(self._events, (self._now + after_s, self._number, what, answer))


def measure(server: Server, limit: Limit, *, seconds: float, seed: int) -> tuple[float, float]:
    """Run one simulation.

    Returns:
        Places that were busy on the mean, and the median wait in the server over an answer's time.
    """
    simulation = Simulation(server, limit, seed)
    simulation.run(seconds)
    busy = simulation.written / seconds / (server.places * (0.75 if server.shrinks else 1))
    waits = sorted(simulation.waits[len(simulation.waits) // 4 :])
    return busy, waits[len(waits) // 2] / (server.first_s + server.writing_s)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--seconds", type=float, default=600, help="simulated length of a run")
    parser.add_argument("--seed", type=int, default=1, help="draws answers")
    arguments = parser.parse_args()
    figures: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{'':<20}" + "".join(f"{name:>22}" for name in LIMITS))
    for title, server in SERVERS.items():
        row = {}
        for name, make in LIMITS.items():
            limit = make()
            busy, wait = measure(server, limit, seconds=arguments.seconds, seed=arguments.seed)
            row[name] = {"busy": round(busy, 3), "wait": round(wait, 3), "limit": limit.value}
        figures[title] = row
        cells = (f"{r['busy']:.0%} busy {r['wait']:>5.0%} {r['limit']:>4}" for r in row.values())
        print(f"{title:<20}" + "".join(f"{cell:>22}" for cell in cells))
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
