"""Kill the service at random points of an adapter's life, and see what is left of it.

    python bench/adapter_crash.py [--json] [--kills 50] [--seed 1]

The service is a real process before a fake vLLM. A seed draws what is done to its registry
(an upload, an evaluation, a publication, a rollback; a canary that is as good, one that is worse,
a shadow, each until the router has decided on it) and after what share of the time that this
usually takes the process gets SIGKILL; some are killed once more while they clear up. Then it is
started again: what was under way must end, the label must be valid and answer, every manifest and
blob must be what its name says, nothing that was answered may be lost, and a trial must come to
the end that is due to it.
Ends with 1 where something is wrong.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.adapter_deeds import Deed, Evaluation, Move, Upload
from bench.adapter_invariants import check, quiet
from bench.adapter_rig import EXPERT, Rig, Service, build
from bench.adapter_trials import Kind, Tried
from bench.made_adapter import Size, write_adapter
from tame_router.client.adapter_folder import read_folder
from tame_router.client.async_client import AsyncClient
from tame_router.errors import TameError
from tests.fakes.vllm import BASE_MODEL, FakeVllm

TRIALS: Final = {"canary": Kind.CANARY, "worse canary": Kind.WORSE, "shadow": Kind.SHADOW}
DEEDS: Final = ("upload", "evaluation", "publish", "rollback", *TRIALS)
REGISTRY: Final = {"lease_s": 2, "gate": {"latency_ratio": 1000}}
"""A process that died is not waited for long, there are many of them; and that other work on
the machine held an answer up is no reason to refuse a revision here."""

SMALL: Final = Size(layers=1, rank=4)
"""Of revisions that are published: kills then fall on more than reading their bytes."""

LARGE: Final = Size(layers=32, rank=16)
"""Of those whose upload is killed: it is acknowledged in pieces of 32 MiB."""

LATEST: Final = 1.15
"""Share of a deed's usual time after which it is killed at the latest."""

TWICE: Final = 0.2
"""Share of the kills after which a second one meets what clears up."""

QUIET_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One end of the process.

    Attributes:
        deed: What is done meanwhile.
        after: Share of the deed's usual time that passes first.
        again_s: Time after the next start at which it is killed once more; None: it is not.
    """

    deed: str
    after: float
    again_s: float | None


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of it.

    Attributes:
        kills: Times that the process was killed, the second ones included.
        answered: Deeds that were answered before the kill, by kind.
        unanswered: Those that were not.
        wrong: What was wrong, in sentences.
        restarts_s: Times until the service listened again.
        quiet_s: Times until nothing was under way any more.
    """

    kills: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    restarts_s: list[float] = field(default_factory=list)
    quiet_s: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, object]:
        """Give the figures by name."""
        return {
            "kills": self.kills,
            "wrong": len(self.wrong),
            "answered": dict(self.answered),
            "unanswered": dict(self.unanswered),
            "restart_s_median": round(median(self.restarts_s or [0]), 2),
            "quiet_s_max": round(max(self.quiet_s, default=0), 2),
        }


def schedule(seed: int, kills: int) -> list[Kill]:
    """Draw the kills of a run; each deed has its turn as often as the others."""
    draw = Random(seed)
    deeds = [deed for deed, _ in zip(itertools.cycle(DEEDS), range(kills), strict=False)]
    draw.shuffle(deeds)
    return [
        Kill(
            deed=deed,
            after=draw.uniform(0, LATEST),
            again_s=draw.uniform(0, 1) if draw.random() < TWICE else None,
        )
        for deed in deeds
    ]


class Trial:
    """One run.

    Args:
        rig: What the service stands on.
        seed: Draws which revision is published.
        large: Of adapters whose upload is killed.

    Attributes:
        tally: What became of it so far.
    """

    def __init__(self, rig: Rig, seed: int, large: Size) -> None:
        self.tally = Tally()
        self._rig = rig
        self._draw = Random(seed)
        self._large = large
        self._seeds = itertools.count(seed * 10_000)
        self._small: list[str] = []
        self._usual_s: dict[str, list[float]] = {deed: [] for deed in DEEDS}

    async def run(self, kills: list[Kill]) -> None:
        """Do each deed once in peace, to learn how long it takes, then kill."""
        service = await asyncio.to_thread(Service, self._rig)
        try:
            async with AsyncClient(service.address, attempts=1) as client:
                for _ in range(3):
                    await self._stock(client)
                for deed in DEEDS:
                    await self._timed(client, deed, await self._plan(client, deed))
            for number, kill in enumerate(kills, 1):
                service = await self._one(service, kill, number)
        finally:
            await asyncio.to_thread(service.__exit__)

    async def _one(self, service: Service, kill: Kill, number: int) -> Service:
        """Kill once, or twice, and look; give the service that runs then."""
        async with AsyncClient(service.address, attempts=1) as client:
            deed = await self._plan(client, kill.deed)
            delay_s = kill.after * median(self._usual_s[kill.deed])
            async with asyncio.TaskGroup() as group:
                group.create_task(self._until_killed(client, kill.deed, deed))
                await asyncio.sleep(delay_s)
                await asyncio.to_thread(service.kill)
        self.tally.kills += 1
        service = await self._start()
        if kill.again_s is not None:
            await asyncio.sleep(kill.again_s)
            await asyncio.to_thread(service.kill)
            self.tally.kills += 1
            service = await self._start()
        before = len(self.tally.wrong)
        again = "" if kill.again_s is None else f", and {kill.again_s:.3f} s after its start"
        print(f"kill {number}: {kill.deed} after {delay_s:.3f} s{again}", flush=True)
        async with AsyncClient(service.address, attempts=1) as client:
            await self._look(client, service, deed)
        for wrong in self.tally.wrong[before:]:
            print(f"kill {number}: {wrong}", flush=True)
        return service

    async def _look(self, client: AsyncClient, service: Service, deed: Deed) -> None:
        """See that all holds: as it was found, and after the deed was done again."""
        wrong = self.tally.wrong
        begun = time.monotonic()
        wrong += await quiet(client, self._rig, QUIET_S)
        self.tally.quiet_s.append(time.monotonic() - begun)
        wrong += await check(client, self._rig)
        try:
            wrong += await deed.check(client, service)
        except TameError as error:
            wrong.append(f"it cannot be done again: {error.message}")
        wrong += await quiet(client, self._rig, QUIET_S)
        wrong += await check(client, self._rig)

    async def _until_killed(self, client: AsyncClient, kind: str, deed: Deed) -> None:
        try:
            await deed.do(client)
        except TameError:
            self.tally.unanswered[kind] += 1
        else:
            self.tally.answered[kind] += 1

    async def _timed(self, client: AsyncClient, kind: str, deed: Deed) -> None:
        begun = time.monotonic()
        await deed.do(client)
        self._usual_s[kind].append(time.monotonic() - begun)
        if isinstance(deed, Tried):
            await deed.settle(client)

    async def _start(self) -> Service:
        begun = time.monotonic()
        service = await asyncio.to_thread(Service, self._rig)
        self.tally.restarts_s.append(time.monotonic() - begun)
        return service

    async def _plan(self, client: AsyncClient, kind: str) -> Deed:
        """Choose what a deed is about, and bring about what it needs."""
        if kind == "upload":
            return await self._upload(self._large)
        if kind == "evaluation":
            return Evaluation(await self._stock(client, keep=False))
        label = (await client.adapters.history(EXPERT, most=1)).label
        target = self._draw.choice([name for name in self._small if name != label.live])
        if kind in TRIALS:
            return Tried(self._rig.fake, label, target, TRIALS[kind])
        if kind == "publish":
            return Move(label, target, back=False)
        # Going back more often than forward would end at the beginning.
        published = (await client.adapters.publish(target)).label
        (change,) = (await client.adapters.history(EXPERT, most=1)).changes
        return Move(published, change.live_before, back=True)

    async def _stock(self, client: AsyncClient, *, keep: bool = True) -> str:
        """Have a small revision approved, and give its name; `keep`: it may be published."""
        upload = await self._upload(SMALL)
        await upload.do(client)
        if keep:
            self._small.append(upload.name)
        return upload.name

    async def _upload(self, size: Size) -> Upload:
        seed = next(self._seeds)
        folder = self._rig.adapters / str(seed)
        await asyncio.to_thread(write_adapter, folder, BASE_MODEL, size, seed)
        return Upload(await asyncio.to_thread(read_folder, folder))


def measure(kills: int, seed: int, large: Size = LARGE) -> Tally:
    """Set everything up in a folder of its own, run, and give what became of it."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        rig = build(Path(folder), stack.enter_context(FakeVllm()), REGISTRY)
        trial = Trial(rig, seed, large)
        asyncio.run(trial.run(schedule(seed, kills)))
        return trial.tally


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--kills", type=int, default=50, help="points at which it is killed")
    parser.add_argument("--seed", type=int, default=1, help="draws what is done, and the points")
    arguments = parser.parse_args()
    tally = measure(arguments.kills, arguments.seed)
    for name, value in tally.figures().items():
        print(f"{name:<18} {value}")
    if arguments.json:
        print(json.dumps(tally.figures()))
    sys.exit(bool(tally.wrong))


if __name__ == "__main__":
    main()
