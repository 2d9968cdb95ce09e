"""What choosing replicas by their adapters saves: loads and waits, simulated with the real choice.

    python bench/affinity.py [--json] [--replicas 16] [--adapters 500] [--zipf 1.0]
                             [--max-loras 8] [--load 0.4] [--answers 20000] [--seed 1]

The router's part is the code of the service (`choice.py`, `standing.py`), fed as the pool feeds it:
what it asked for itself, how soon first words came, and the replicas' metrics every 5 s. Replicas
and traffic are those of `affinity_model.py`. Beside it stand a random choice, each replica in turn,
and the one with the fewest answers under way. Times of the choice are of this machine's CPU; all
else is simulated, and the same for the same seed.
"""

import argparse
import heapq
import itertools
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.affinity_model import PROMPT_TOKENS, Answer, SimulatedReplica, capacity, name, traffic
from tame_router.backends.replicas.choice import Ask, choose
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.backends.replicas.pool_spec import PoolSpec
from tame_router.backends.replicas.standing import Standing
from tame_router.backends.replicas.usual_times import UsualTimes
from tame_router.backends.vllm.backend import VllmSpec

METRICS_S: Final = 5.0
WARM: Final = 0.2
"""Share of the answers after which counting begins."""

Policy = Callable[[Ask, float], Standing]
"""Gives the replica for an answer at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is simulated.

    Attributes:
        replicas: How many.
        adapters: How many are asked for.
        zipf: Exponent of their law.
        max_loras: Of them, so many have room on a replica.
        load: Share of the capacity that is asked for.
        answers: How many are asked for.
        seed: Of the traffic, and of the choices.
    """

    replicas: int = 16
    adapters: int = 500
    zipf: float = 1.0
    max_loras: int = 8
    load: float = 0.4
    answers: int = 20_000
    seed: int = 1


@dataclass(slots=True)
class _Tally:
    first_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    usual: UsualTimes = field(default_factory=UsualTimes)
    choose_us: list[float] = field(default_factory=list)
    loads: int = 0
    remembered: int = 0


def ours(standings: Sequence[Standing], draw: Random) -> Policy:
    """Choose as the service does."""
    return lambda ask, now: choose(standings, ask, now=now, draw=draw)


def at_random(standings: Sequence[Standing], draw: Random) -> Policy:
    """Choose any."""
    return lambda ask, now: draw.choice(standings)


def in_turn(standings: Sequence[Standing], draw: Random) -> Policy:
    """Choose one after the other."""
    turns = itertools.cycle(standings)
    return lambda ask, now: next(turns)


def least_loaded(standings: Sequence[Standing], draw: Random) -> Policy:
    """Choose the one with the fewest answers under way; of several, any."""

    def fewest(ask: Ask, now: float) -> Standing:
        least = min(one.answers for one in standings)
        return draw.choice([one for one in standings if one.answers == least])

    return fewest


POLICIES: Final = {
    "random": at_random,
    "round_robin": in_turn,
    "least_loaded": least_loaded,
    "tame": ours,
}


def simulate(case: Case, policy: str) -> dict[str, float]:
    """Simulate one policy.

    Args:
        case: What is simulated.
        policy: One of `POLICIES`.
    """
    standings = [Standing(f"http://10.0.0.{number}:8100/v1") for number in range(case.replicas)]
    replicas = {one: SimulatedReplica(case.max_loras) for one in standings}
    pick = POLICIES[policy](standings, Random(case.seed))
    rate = case.load * capacity(case.replicas)
    asked = traffic(case.answers, rate, case.adapters, case.zipf, case.seed)
    ends: list[tuple[float, int, Answer, Standing]] = []
    tally, count, next_look = _Tally(), itertools.count(), 0.0
    for number, answer in enumerate(asked):
        while ends and ends[0][0] <= answer.at:
            _end(ends, replicas, count, tally, warm=number > WARM * case.answers)
        if answer.at >= next_look:
            next_look = answer.at + METRICS_S
            for standing, replica in replicas.items():
                standing.told(replica.metrics(), next_look + METRICS_S)
        ask = Ask(
            revision=name(answer.adapter), head=answer.head, tokens=PROMPT_TOKENS + answer.tokens
        )
        begun = time.thread_time()
        chosen = pick(ask, answer.at)
        tally.choose_us.append((time.thread_time() - begun) * 1e6)
        answer.warm = chosen.resident(ask.revision)
        chosen.begin(ask.tokens, ask.revision)
        replica = replicas[chosen]
        replica.take(answer)
        _begin(ends, replica, chosen, answer.at, count)
        if number == int(WARM * case.answers):
            tally.loads = -sum(one.loads for one in replicas.values())
            tally.remembered = -sum(one.remembered for one in replicas.values())
    tally.loads += sum(one.loads for one in replicas.values())
    tally.remembered += sum(one.remembered for one in replicas.values())
    while ends:
        _end(ends, replicas, count, tally, warm=True)
    counted = case.answers * (1 - WARM)
    return {
        "loads_per_1000": round(1_000 * tally.loads / counted, 1),
        "prefix_share": round(tally.remembered / counted, 3),
        "first_token_p50_s": round(statistics.median(tally.first_s), 3),
        "first_token_p99_s": round(_p99(tally.first_s), 3),
        "answer_p99_s": round(_p99(tally.whole_s), 3),
        "choose_us_p50": round(statistics.median(tally.choose_us), 1),
        "choose_us_p99": round(_p99(tally.choose_us), 1),
    }


def _begin(
    ends: list[tuple[float, int, Answer, Standing]],
    replica: SimulatedReplica,
    standing: Standing,
    now: float,
    count: "itertools.count[int]",
) -> None:
    for at, answer in replica.begin(now):
        heapq.heappush(ends, (answer.begun, next(count), answer, standing))
        heapq.heappush(ends, (at, next(count), answer, standing))


def _end(
    ends: list[tuple[float, int, Answer, Standing]],
    replicas: dict[Standing, SimulatedReplica],
    count: "itertools.count[int]",
    tally: _Tally,
    *,
    warm: bool,
) -> None:
    now, _, answer, standing = heapq.heappop(ends)
    if now == answer.begun:
        late = tally.usual.take(PROMPT_TOKENS, now - answer.at) if answer.warm else None
        if late is not None:
            standing.spoke(late, now)
        return
    standing.end(PROMPT_TOKENS + answer.tokens, name(answer.adapter))
    standing.wrote(name(answer.adapter))
    replicas[standing].end(answer)
    _begin(ends, replicas[standing], standing, now, count)
    if warm:
        tally.first_s.append(answer.begun - answer.at)
        tally.whole_s.append(now - answer.at)


def state_bytes(replicas: int, max_loras: int) -> int:
    """Give what a pool of so many replicas keeps in memory, their connections excepted."""
    specs = tuple(VllmSpec(base_url=f"http://10.0.0.{one}:8100/v1") for one in range(replicas))
    tracemalloc.start()
    try:
        pool = ReplicaPool(PoolSpec(replicas=specs))
        for number, replica in enumerate(pool.replicas):
            for adapter in range(max_loras):
                replica.standing.wrote(name(number * max_loras + adapter))
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def main() -> None:
    """Run the command line."""
    case = Case()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument(
        "--replicas", type=int, default=case.replicas, help="how many (%(default)s)"
    )
    parser.add_argument(
        "--adapters", type=int, default=case.adapters, help="asked for (%(default)s)"
    )
    parser.add_argument(
        "--zipf", type=float, default=case.zipf, help="exponent of their law (%(default)s)"
    )
    parser.add_argument(
        "--max-loras",
        type=int,
        default=case.max_loras,
        help="that have room on a replica (%(default)s)",
    )
    parser.add_argument(
        "--load",
        type=float,
        default=case.load,
        help="share of the capacity that is asked for (%(default)s)",
    )
    parser.add_argument("--answers", type=int, default=case.answers, help="asked for (%(default)s)")
    parser.add_argument(
        "--seed",
        type=int,
        default=case.seed,
        help="draws the traffic and the choices (%(default)s)",
    )
    arguments = vars(parser.parse_args())
    as_json = arguments.pop("json")
    case = Case(**arguments)
    figures = {policy: simulate(case, policy) for policy in POLICIES}
    kept = state_bytes(case.replicas, case.max_loras)
    print(f"| {case.replicas} replicas | loads per 1,000 | prefix known | first token p50 | p99 |"
          " answer p99 | choosing p50 |")  # fmt: skip
    print("|---|--:|--:|--:|--:|--:|--:|")
    for policy, told in figures.items():
        print(
            f"| {policy} | {told['loads_per_1000']:,} | {100 * told['prefix_share']:.0f} % |"
            f" {told['first_token_p50_s']} s | {told['first_token_p99_s']} s |"
            f" {told['answer_p99_s']} s | {told['choose_us_p50']} µs |"
        )
    print(f"\nThe pool keeps {kept:,} bytes, {kept // case.replicas:,} a replica.")
    if as_json:
        print(json.dumps({**figures, "state_bytes": kept}))


if __name__ == "__main__":
    main()
