"""What it costs to choose a replica: 64 of them, 1,000 adapters, prompts of some length.

    python bench/choosing.py [--json] [--replicas 64] [--adapters 1000] [--rounds 20000]

Each round is one answer as the pool sees it: hash the head of its prompt, choose, take note
that it begins, and that the answer of some rounds before has ended. Times are of the CPU.
"""

import argparse
import json
import statistics
import sys
import time
from collections import deque
from pathlib import Path
from random import Random
from typing import Final

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tame_router.backends.backend import Generation
from tame_router.backends.replicas.choice import Ask, choose
from tame_router.backends.replicas.standing import Standing
from tame_router.chat import Message, Role, Sampling

UNDER_WAY: Final = 512
KNOWN_PER_REPLICA: Final = 100
PROMPTS: Final = 256


def standings(replicas: int, adapters: int, draw: Random) -> list[Standing]:
    """Give replicas that have some of the adapters, errors behind them, and different speeds."""
    made = [Standing(f"http://10.0.0.{number}:8100/v1") for number in range(replicas)]
    for one in made:
        for number in draw.sample(range(adapters), min(adapters, KNOWN_PER_REPLICA)):
            one.wrote(f"expert--{number:016x}")
        if draw.random() < 0.2:
            one.erred(0)
        one.spoke(draw.gauss(0, 1), 0)
    return made


def generations(adapters: int, draw: Random) -> list[Generation]:
    """Give what is asked: adapters by Zipf's law, instructions of 600 characters."""
    weights = [1 / rank for rank in range(1, adapters + 1)]
    drawn = draw.choices(range(adapters), weights, k=PROMPTS)
    return [
        Generation(
            revision=f"expert--{number:016x}",
            messages=(
                Message(role=Role.SYSTEM, content="你是專家。" * 120),
                Message(role=Role.USER, content=f"第 {index} 題：" + "這要怎麼辦？" * 20),
            ),
            sampling=Sampling(max_tokens=256),
            request_id="bench",
        )
        for index, number in enumerate(drawn)
    ]


def measure(replicas: int, adapters: int, rounds: int) -> dict[str, float]:
    """Choose so many times, and give the time of one choice in microseconds."""
    draw = Random(1)
    pool, asked = standings(replicas, adapters, draw), generations(adapters, draw)
    under_way: deque[tuple[Standing, Ask]] = deque()
    times: list[float] = []
    for number in range(rounds):
        generation = asked[number % PROMPTS]
        begun = time.thread_time()  # what others do on this machine does not count
        ask = Ask.of(generation)
        chosen = choose(pool, ask, now=number * 1e-3, draw=draw)
        times.append((time.thread_time() - begun) * 1e6)
        chosen.begin(ask.tokens, ask.revision)
        under_way.append((chosen, ask))
        if len(under_way) > UNDER_WAY:
            ended, ask = under_way.popleft()
            ended.end(ask.tokens, ask.revision)
    loads = [one.answers for one in pool]
    return {
        "choose_us_p50": round(statistics.median(times), 1),
        "choose_us_p99": round(statistics.quantiles(times, n=100)[98], 1),
        "answers_most": max(loads),
        "answers_mean": round(statistics.mean(loads), 1),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--replicas", type=int, default=64, help="in the pool (64)")
    parser.add_argument("--adapters", type=int, default=1_000, help="asked for (1000)")
    parser.add_argument("--rounds", type=int, default=20_000, help="choices (20000)")
    arguments = parser.parse_args()
    figures = measure(arguments.replicas, arguments.adapters, arguments.rounds)
    for name, value in figures.items():
        print(f"{name:<16} {value:>10}")
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
