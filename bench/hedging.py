"""How late first words are where a replica is slow: with and without a second one being asked.

    python bench/hedging.py [--json] [--answers 600] [--at-once 8] [--seed 1]

The service's own pool before three fake vLLM servers, whose first words take 50 ms. Two troubles:
one of the three takes 1 s (`slow`); one answer in twenty takes 1 s, on whichever replica
(`hiccups`). Each is run as the choice was before it knew of late first words (`blind`), as it is,
and with answers asked twice. Prompts are short, and each begins a conversation of its own.
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tame_router.backends.backend import Generation
from tame_router.backends.replicas.hedge import HedgeRules
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.backends.replicas.pool_spec import PoolSpec
from tame_router.backends.vllm.backend import VllmSpec
from tame_router.chat import Message, Role, Sampling
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Late, Pace

QUICK_S: Final = 0.05
SLOW_S: Final = 1.0
HICCUP: Final = 0.05
REPLICAS: Final = 3
TOKENS: Final = 4
RULES: Final = HedgeRules(after_s=0.15, share=0.1)
TROUBLES: Final = ("slow", "hiccups")
WAYS: Final = ("blind", "as it is", "asked twice")


@dataclass(slots=True)
class Tally:
    """What a run shows; it is the pool's witness too."""

    first_s: list[float] = field(default_factory=list)
    hedges: Counter[str] = field(default_factory=Counter)

    def failover(self, backend: str, why: str, how: str) -> None:
        """Fail: nothing fails here."""
        raise RuntimeError(f"an answer left a replica: {why}")

    def hedge(self, backend: str, outcome: str) -> None:
        """Count it."""
        self.hedges[outcome] += 1

    def replicas(self, backend: str, counts: Mapping[str, int]) -> None:
        """Leave it."""

    def replicas_out(self, backend: str, counts: Mapping[str, int]) -> None:
        """Leave it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is run.

    Attributes:
        trouble: One of `TROUBLES`.
        way: One of `WAYS`.
        answers: How many are written.
        at_once: Callers, each of whom asks one after the other.
        seed: Of the trouble and of the choices.
    """

    trouble: str
    way: str
    answers: int = 600
    at_once: int = 8
    seed: int = 1


def pool_of(fakes: Sequence[FakeVllm], case: Case, tally: Tally) -> ReplicaPool:
    """Make the pool, and bring the fakes into the trouble that lasts."""
    for fake in fakes:
        fake.reset()
        fake.pace = Pace(first_token_s=QUICK_S, answer_tokens=TOKENS)
    fakes[0].share_faults(fakes)
    if case.trouble == "slow":
        fakes[0].pace = Pace(first_token_s=SLOW_S, answer_tokens=TOKENS)
    spec = PoolSpec(
        replicas=tuple(VllmSpec(base_url=one.base_url, base_model=BASE_MODEL) for one in fakes),
        hedge=RULES if case.way == "asked twice" else None,
    )
    return ReplicaPool(spec, tally, Random(case.seed))


async def run(fakes: Sequence[FakeVllm], case: Case) -> dict[str, float]:
    """Have answers written in one trouble, and tell how long first words took."""
    tally, draw = Tally(), Random(case.seed)
    pool = pool_of(fakes, case, tally)
    numbers = iter(range(case.answers))

    async def caller() -> None:
        for number in numbers:
            if case.trouble == "hiccups" and draw.random() < HICCUP:
                fakes[0].next(Late(first_token_s=SLOW_S))
            if case.way == "blind":
                for one in pool.replicas:
                    one.standing.forget()
            tally.first_s.append(await _first_word_s(pool, number))

    await pool.look()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(case.at_once):
                group.create_task(caller())
    finally:
        await pool.close()
    return _figures(fakes, case, tally)


async def _first_word_s(pool: ReplicaPool, number: int) -> float:
    """Read an answer, and give the time to its first word."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with pool.open(_question(number)) as pieces:
        await pieces.__anext__()
        first_s = loop.time() - begun
        async for _ in pieces:
            pass
    return first_s


def _figures(fakes: Sequence[FakeVllm], case: Case, tally: Tally) -> dict[str, float]:
    asked = sum(len(fake.chats) for fake in fakes)
    return {
        "first_ms_p50": round(1e3 * statistics.median(tally.first_s)),
        "first_ms_p95": round(1e3 * statistics.quantiles(tally.first_s, n=100)[94]),
        "first_ms_p99": round(1e3 * statistics.quantiles(tally.first_s, n=100)[98]),
        "slow_share": round(len(fakes[0].chats) / asked, 3),
        "asked_twice": asked - case.answers,
        "second_won": tally.hedges["second"],
        "unpaid": tally.hedges["unpaid"],
        "stopped": sum(fake.finished["abort"] for fake in fakes),
    }


def _question(number: int) -> Generation:
    return Generation(
        revision="",
        messages=(Message(role=Role.USER, content=f"第 {number} 題：這要怎麼辦？"),),
        sampling=Sampling(max_tokens=16),
        request_id=f"bench-{number}",
    )


def measure(answers: int, at_once: int, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Run all ways through all troubles."""
    with ExitStack() as stack:
        fakes = [stack.enter_context(FakeVllm()) for _ in range(REPLICAS)]
        return {
            trouble: {
                way: asyncio.run(
                    run(
                        fakes,
                        Case(
                            trouble=trouble,
                            way=way,
                            answers=answers,
                            at_once=at_once,
                            seed=seed,
                        ),
                    )
                )
                for way in WAYS
            }
            for trouble in TROUBLES
        }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--answers", type=int, default=600, help="of each run (600)")
    parser.add_argument("--at-once", type=int, default=8, help="answers at once (8)")
    parser.add_argument("--seed", type=int, default=1, help="draws which are late (1)")
    arguments = parser.parse_args()
    figures = measure(arguments.answers, arguments.at_once, arguments.seed)
    print("| trouble | choice | first word p50 | p95 | p99 | to the first | asked twice |"
          " second won | unpaid |")  # fmt: skip
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for trouble, ways in figures.items():
        for way, told in ways.items():
            print(
                f"| {trouble} | {way} | {told['first_ms_p50']} ms | {told['first_ms_p95']} ms |"
                f" {told['first_ms_p99']} ms | {100 * told['slow_share']:.0f} % |"
                f" {told['asked_twice']} | {told['second_won']} | {told['unpaid']} |"
            )
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
