"""How often canaries are rolled back, and after how many answers: a simulation.

    python bench/canary.py [--json] [--runs 200] [--share 0.1] [--seed 1]

Answers come to the live revision and to the canary by lot. One is bad with a probability, and
takes a time a token that is log-normal about 20 ms. Some hold Simplified Chinese, some are rated
bad. A shadow answers the same questions as the live revision, and a judge may prefer one of the
two. A run ends with the verdict, or when the
canary has given `--most` answers (1,000 where it is as good, 200 where it is worse). The last
line but the JSON is what one answer costs the watch.

Exit codes: 0 always; 2 wrong use.
"""

import argparse
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tame_router.config_registry import CanarySettings
from tame_router.registry.canary.outcome import Outcome
from tame_router.registry.canary.trial import Arm, CanaryTrial, Verdict
from tame_router.registry.canary.watch import CanaryWatch

TOKEN_S: Final = 0.02
MOST_EQUAL: Final = 1_000
MOST_WORSE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How both sides answer.

    Attributes:
        name: What it is called.
        live_bad: Share of the live revision's answers that are bad.
        canary_bad: The same of the canary.
        slowness: Time a token of the canary, as a ratio to the live one's.
        spread: Standard deviation of its logarithm.
        live_leak: How Simplified the live one's answers are on average, in [0, 1]; it is spread
            evenly from none to twice that.
        canary_leak: The same of the canary.
        live_disliked: Share of the live one's answers that are rated bad.
        canary_disliked: The same of the canary's.
        shadow: It is a shadow: both answer each question.
        live_preferred: Share of the pairs in which a judge prefers the live one.
        canary_preferred: The same of the canary; the rest are ties.
    """

    name: str
    live_bad: float
    canary_bad: float
    slowness: float = 1.0
    spread: float = 0.5
    live_leak: float = 0.0
    canary_leak: float = 0.0
    live_disliked: float = 0.0
    canary_disliked: float = 0.0
    shadow: bool = False
    live_preferred: float = 0.0
    canary_preferred: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether both sides are the same."""
        live = (self.live_bad, self.live_leak, self.live_disliked, self.live_preferred, 1)
        canary = (self.canary_bad, self.canary_leak, self.canary_disliked, self.canary_preferred)
        return live == (*canary, self.slowness)


FAIR: Final = World(
    name="",
    live_bad=0.05,
    canary_bad=0.05,
    live_leak=0.05,
    canary_leak=0.05,
    live_disliked=0.1,
    canary_disliked=0.1,
    live_preferred=0.2,
    canary_preferred=0.2,
)
"""Both sides alike, by all that is looked at; preferences are those of a shadow."""

WORLDS: Final = (
    World(name="equal, 5 % bad", live_bad=0.05, canary_bad=0.05),
    World(name="equal, 30 % bad", live_bad=0.3, canary_bad=0.3),
    World(name="bad 5 % → 25 %", live_bad=0.05, canary_bad=0.25),
    World(name="bad 30 % → 50 %", live_bad=0.3, canary_bad=0.5),
    World(name="twice as slow", live_bad=0.05, canary_bad=0.05, slowness=2),
    World(name="twice as slow, spread 1", live_bad=0.05, canary_bad=0.05, slowness=2, spread=1),
    World(name="bad 5 % → 10 %", live_bad=0.05, canary_bad=0.1),
    replace(FAIR, name="equal, all wagers"),
    replace(FAIR, name="equal, all, mostly ratings", live_disliked=0.5, canary_disliked=0.5),
    replace(FAIR, name="equal shadow, all wagers", shadow=True),
    replace(
        FAIR, name="equal shadow, torn judge", shadow=True, live_preferred=0.5, canary_preferred=0.5
    ),
    replace(FAIR, name="Simplified 5 % → 50 %", live_leak=0.05, canary_leak=0.5),
    replace(FAIR, name="rated bad 5 % → 25 %", live_disliked=0.05, canary_disliked=0.25),
    replace(FAIR, name="rated bad 10 % → 50 %", live_disliked=0.1, canary_disliked=0.5),
    replace(FAIR, name="shadow, bad 5 % → 25 %", shadow=True, canary_bad=0.25),
    replace(FAIR, name="shadow, judge 60 % : 20 %", shadow=True, live_preferred=0.6),
    replace(FAIR, name="shadow, judge 40 % : 20 %", shadow=True, live_preferred=0.4),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What came of the runs of one world.

    Attributes:
        world: Its name.
        share: Share of the callers that the canary answers.
        runs: Runs.
        rolled_back: Those that ended so.
        good: Those that ended with a good canary.
        median_answers: Of the canary, until it was rolled back; None: it never was.
    """

    world: str
    share: float
    runs: int
    rolled_back: int
    good: int
    median_answers: float | None


def simulate(world: World, share: float, lot: random.Random) -> CanaryTrial:
    """Run one canary to its end."""
    trial = CanaryTrial(CanarySettings().error_share)
    most = MOST_EQUAL if world.equal else MOST_WORSE
    while trial.verdict is Verdict.CONTINUE and trial.answers[Arm.CANARY] < most:
        if world.shadow:
            live, canary = (answer(world, arm, lot) for arm in (Arm.LIVE, Arm.CANARY))
            trial.compare(live, canary, prefer(world, lot))
            continue
        arm = Arm.CANARY if lot.random() < share else Arm.LIVE
        trial.observe(arm, answer(world, arm, lot))
        disliked = world.canary_disliked if arm is Arm.CANARY else world.live_disliked
        if trial.verdict is Verdict.CONTINUE and lot.random() < disliked:
            trial.dislike(arm, share)
    return trial


def answer(world: World, arm: Arm, lot: random.Random) -> Outcome:
    """Draw an answer."""
    new = arm is Arm.CANARY
    slowness = world.slowness if new else 1.0
    leak = 2 * (world.canary_leak if new else world.live_leak)
    return Outcome(
        bad=lot.random() < (world.canary_bad if new else world.live_bad),
        token_s=TOKEN_S * slowness * math.exp(lot.gauss(0, world.spread)),
        leak=lot.uniform(0, leak) if leak else None,
    )


def prefer(world: World, lot: random.Random) -> float:
    """Draw a judge's verdict."""
    drawn = lot.random()
    if drawn < world.live_preferred:
        return 1.0
    return -1.0 if drawn < world.live_preferred + world.canary_preferred else 0.0


def tally(world: World, share: float, runs: int, seed: int) -> Tally:
    """Run many canaries."""
    lot = random.Random(f"{seed} {world.name} {share}")
    trials = [simulate(world, share, lot) for _ in range(runs)]
    back = [trial for trial in trials if trial.verdict is Verdict.ROLL_BACK]
    return Tally(
        world=world.name,
        share=share,
        runs=runs,
        rolled_back=len(back),
        good=sum(trial.verdict is Verdict.GOOD for trial in trials),
        median_answers=statistics.median(t.answers[Arm.CANARY] for t in back) if back else None,
    )


def cost_us(answers: int = 100_000) -> float:
    """Measure what one answer costs the watch, in microseconds of CPU time."""
    watch = CanaryWatch(CanarySettings(), lambda *_: None)
    watch.begin("legal", "live", "canary")
    lot = random.Random(1)
    outcomes = [Outcome(bad=False, token_s=lot.uniform(0.01, 0.03)) for _ in range(64)]
    began = time.process_time()
    for number in range(answers):
        revision = "live" if number % 10 else "canary"
        watch.observe("legal", revision, outcomes[number % 64])
    return (time.process_time() - began) / answers * 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--runs", type=int, default=200, help="for each world (default: 200)")
    parser.add_argument("--share", type=float, default=0.1, help="of the canary (default: 0.1)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    found = [tally(world, options.share, options.runs, options.seed) for world in WORLDS]
    print(f"{'':26} rolled back   good   median answers")
    for one in found:
        median = "" if one.median_answers is None else f"{one.median_answers:g}"
        back, good = one.rolled_back / one.runs, one.good / one.runs
        print(f"{one.world:26} {back:11.1%} {good:6.0%} {median:>16}")
    cost = cost_us()
    print(f"one answer costs the watch {cost:.1f} µs")
    if options.json:
        worlds = [asdict(one) for one in found]
        print(json.dumps({"worlds": worlds, "cost_us": round(cost, 2)}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
