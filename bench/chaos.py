"""Answers while servers die: three replicas, many streams, and a schedule of troubles.

    python bench/chaos.py [--json] [--seconds 60] [--seed 1] [--streams 64]

The router is a real one, in front of three fake vLLM servers that write the same deterministic
texts. First an answer is broken behind each of its tokens once. Then a seed draws which of
them is killed, stands still, writes garbage, refuses or forgets its adapters, and when; one at
a time, so that an answer always has a healthy replica left.
Every answer is compared with the one that was written before the troubles began: its text,
and its tokens. Ends with 1 where an answer failed or differs.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from tame_router import app
from tame_router.chat import Sampling, Usage
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta, ExpertFinish
from tame_router.config import Settings
from tame_router.errors import TameError

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.small_site import small_site
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Cut, HangUp, Pace, Refuse
from tests.small_experts import QUESTIONS

REPLICAS: Final = 3
PACE: Final = Pace(first_token_s=0.05, token_s=0.05, answer_tokens=32)
BACKEND: Final[dict[str, Any]] = {
    "first_token_timeout_s": 4,
    "stall_timeout_s": 2,
    "replicas": {"health_interval_s": 0.5, "cool_down_s": 0.25, "max_cool_down_s": 1},
}
TROUBLES: Final = ("kill", "freeze", "garble", "fail", "lie", "hang up", "forget")
CALM_S: Final = 3.0
"""Time between two troubles, so that the last replica is back before the next one goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What happens to one replica, from when, and for how long; in seconds."""

    at_s: float
    replica: int
    what: str
    for_s: float


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the answers."""

    answers: int = 0
    failed: int = 0
    wrong_text: int = 0
    wrong_usage: int = 0
    failovers: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def figures(self) -> dict[str, int]:
        """Give the counts by name."""
        names = ("answers", "failed", "wrong_text", "wrong_usage", "failovers")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and how it may be answered."""

    text: str
    max_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a caller sees of an answer."""

    text: str
    usage: Usage
    failovers: int


ASKED: Final = tuple(
    Question(text=text, max_tokens=limit)
    for texts in QUESTIONS.values()
    for text in texts
    for limit in (None, 20)
)


def schedule(seed: int, seconds: float) -> list[Trouble]:
    """Draw the troubles of a run."""
    draw, at_s, drawn = Random(seed), 1.0, []
    while at_s + CALM_S < seconds:
        for_s = round(draw.uniform(0.5, 4), 2)
        drawn.append(
            Trouble(
                at_s=round(at_s, 2),
                replica=draw.randrange(REPLICAS),
                what=draw.choice(TROUBLES),
                for_s=for_s,
            )
        )
        at_s += for_s + CALM_S
    return drawn


def begin(fake: FakeVllm, what: str) -> None:
    """Bring a trouble on."""
    match what:
        case "kill":
            fake.kill()
        case "freeze":
            fake.frozen = True
        case "garble":
            fake.garbling = True
        case "fail":
            fake.always = Refuse(status=500)
        case "lie":  # its /health says that it is well, and it refuses everything else
            fake.starting = fake.lying = True
        case "hang up":
            fake.always = HangUp()
        case _:
            fake.adapters = ()


def mend(fake: FakeVllm, adapters: Sequence[str]) -> None:
    """End it, whatever it was."""
    fake.frozen = fake.garbling = fake.starting = fake.lying = False
    fake.always = None
    fake.adapters = adapters
    if not fake.alive:
        fake.revive()


async def ask(client: AsyncClient, question: Question) -> Answer:
    """Ask by stream, and put together what arrives.

    Raises:
        TameError: When the answer failed.
        RuntimeError: When it ended without saying how.
    """
    texts: list[str] = []
    sampling = Sampling(max_tokens=question.max_tokens)
    async with client.stream(question.text, sampling=sampling) as events:
        async for event in events:
            match event:
                case Delta():
                    texts.append(event.text)
                case ExpertFinish():
                    return Answer(text="".join(texts), usage=event.usage, failovers=event.failovers)
    raise RuntimeError("the stream ended before its expert did")


async def stream_on(
    client: AsyncClient, uncut: dict[Question, Answer], seed: int, until: float, tally: Tally
) -> None:
    """Ask one question after the other, and hold the answers against the uncut ones."""
    draw = Random(seed)
    while asyncio.get_running_loop().time() < until:
        await judge(client, draw.choice(ASKED), uncut, tally)


async def judge(
    client: AsyncClient, question: Question, uncut: dict[Question, Answer], tally: Tally
) -> None:
    """Ask a question, and hold the answer against the uncut one."""
    tally.answers += 1
    try:
        answer = await ask(client, question)
    except TameError as error:
        tally.failed += 1
        tally.reasons[f"{error.reason}: {error.message}"] += 1
        return
    tally.wrong_text += answer.text != uncut[question].text
    tally.wrong_usage += answer.usage != uncut[question].usage
    tally.failovers += answer.failovers


async def cut_everywhere(
    client: AsyncClient, fakes: Sequence[FakeVllm], uncut: dict[Question, Answer], tally: Tally
) -> None:
    """Break an answer once behind each of its tokens, and before the first."""
    paces = [fake.pace for fake in fakes]
    fakes[0].share_faults(fakes)
    for fake in fakes:
        fake.pace = replace(fake.pace, first_token_s=0, token_s=0)
    for event in range(paces[0].answer_tokens + 1):
        fakes[0].next(Cut(after_events=event))
        await judge(client, ASKED[0], uncut, tally)
    for fake, pace in zip(fakes, paces, strict=True):
        fake.pace = pace


async def trouble(fakes: Sequence[FakeVllm], troubles: Sequence[Trouble]) -> None:
    """Bring the troubles on, and end them."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    adapters = tuple(fakes[0].adapters)
    for one in troubles:
        await asyncio.sleep(begun + one.at_s - loop.time())
        await asyncio.to_thread(begin, fakes[one.replica], one.what)
        await asyncio.sleep(begun + one.at_s + one.for_s - loop.time())
        await asyncio.to_thread(mend, fakes[one.replica], adapters)


async def run(
    settings: Settings, fakes: Sequence[FakeVllm], *, seconds: float, seed: int, streams: int
) -> Tally:
    """Run a router of these settings against these fakes, and give what became of the answers."""
    tally = Tally()
    async with app.running(settings) as address, AsyncClient(address, attempts=1) as client:
        uncut = {question: await ask(client, question) for question in ASKED}
        await cut_everywhere(client, fakes, uncut, tally)
        until = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            group.create_task(trouble(fakes, schedule(seed, seconds)))
            for number in range(streams):
                group.create_task(stream_on(client, uncut, seed * 1_000 + number, until, tally))
    return tally


def measure(seconds: float, seed: int, streams: int) -> Tally:
    """Set everything up in a folder of its own, run, and give what became of the answers."""
    with small_site(REPLICAS, PACE, BACKEND) as site:
        settings, fakes = site.settings, site.fakes
        tally = asyncio.run(run(settings, fakes, seconds=seconds, seed=seed, streams=streams))
        for fake in fakes:
            mend(fake, fake.adapters)
        return tally


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument(
        "--seconds",
        type=float,
        default=60,
        help="length of the troubles, after half a minute of cuts (60)",
    )
    parser.add_argument("--seed", type=int, default=1, help="draws troubles and questions (1)")
    parser.add_argument("--streams", type=int, default=64, help="answers at once (64)")
    arguments = parser.parse_args()
    for one in schedule(arguments.seed, arguments.seconds):
        print(f"at {one.at_s:6.1f} s replica {one.replica} {one.what} for {one.for_s:g} s")
    tally = measure(arguments.seconds, arguments.seed, arguments.streams)
    for reason, count in tally.reasons.most_common():
        print(f"{count:>6} × {reason}")
    for name, value in tally.figures().items():
        print(f"{name:<12} {value:>8}")
    if arguments.json:
        print(json.dumps(tally.figures()))
    sys.exit(bool(tally.failed or tally.wrong_text or tally.wrong_usage))


if __name__ == "__main__":
    main()
