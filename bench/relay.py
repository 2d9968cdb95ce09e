"""The router beside vllm-router and the LiteLLM proxy, before the same fake vLLM, in one run.

    python bench/relay.py [--json] [--fill docs/relay.md] [--plot docs/relay.svg]

The peers are installed on the first run, into environments of their own below
`.tame/relay`; one that cannot be is left out, and that is said. An answer has 64 tokens, each
in an event and a chunk of its own. Burst: all in one write, 16 answers at once. Paced: a token
every 20 ms, 64 answers at once. Idle: one answer at a time, each way in turn. Open: answers
that have begun and stand still, in a process that has done nothing else before.

CPU time is that of a router and its children alone. Ours decides who answers, and writes its
audit records; the questions are such as it decides by words, without the encoder. All have two
servers to choose from. Ours serves once more by as many worker processes as `--workers` says: one
process of ours uses one core, where vllm-router uses all. Beside each figure stands what load
generator and fake took, and what they can do with no router between them.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.overhead import child
from bench.own_sentences import SENTENCES
from bench.relay_figures import DIRECT, Turns, figures
from bench.relay_load import Crowd, Outcome, Pairs, Way, resident_mb, run, timed_cpu
from bench.relay_page import PLACE, table, write_plot
from bench.relay_routers import PEERS, fast_questions, grpc_way, http_way, tame
from deploy.local.logged_command import InstallError
from tame_router import app
from tame_router.config_file import load_settings
from tame_router.trained_router import build_encoder, build_router, plan_lesson
from tests.fakes.vllm import BASE_MODEL

TOKENS: Final = 64
BURST_AT_ONCE, PACED_AT_ONCE, TOKEN_MS = 16, 64, 20
WARM_UP_S: Final = 1.0
WARM_UP_ROUNDS: Final = 5
SPARE_FILES: Final = 200
OPEN_WITHIN_S: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: Rounds of each kind; in each every way has its turn.
        seconds: Length of a turn.
        pairs: Questions to the idle routers.
        open_streams: Answers that are held open.
        peers: Routers beside ours.
        workers: Processes by which ours serves once more, on ports of its own; 0: not at all.
    """

    rounds: int = 4
    seconds: float = 3.0
    pairs: int = 100
    open_streams: Sequence[int] = (1_000, 10_000)
    peers: Sequence[str] = tuple(PEERS)
    workers: int = 2


class Ring:
    """The routers that run, and the fake behind them.

    Args:
        ways: How each is asked, by the name of its figures; the fake itself among them.
        pids: The process of each.
        target: The fake's process.
        urls: Its addresses.
    """

    def __init__(
        self, ways: dict[str, Way], pids: dict[str, int], target: int, urls: Sequence[str]
    ) -> None:
        self.ways = ways
        self._pids = pids
        self._target = target
        self._urls = urls

    def turns(self, plan: Plan, at_once: int, token_ms: float) -> dict[str, Turns]:
        """Let every way have its turn, in changing order, round by round."""
        set_pace(self._urls[0], token_ms, token_ms)
        found = {name: Turns() for name in self.ways}
        names = list(self.ways)
        for name in names:
            self._turn(name, at_once, WARM_UP_S)
        for number in range(plan.rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                outcome, spent = self._turn(name, at_once, plan.seconds)
                mine = found[name]
                mine.whole.join(outcome)
                mine.rates.append(outcome.answers / outcome.elapsed_s)
                mine.cpu_ms.append(spent["router"] / max(outcome.answers, 1) * 1e3)
                mine.target_cpu_s += spent["target"]
        return found

    def _turn(self, name: str, at_once: int, seconds: float) -> tuple[Outcome, dict[str, float]]:
        pids = {"router": self._pids[name], "target": self._target}
        with timed_cpu(pids) as spent:
            outcome = uvloop.run(run(self.ways[name], at_once, seconds))
        return outcome, spent

    def idle(self, pairs: int) -> dict[str, list[float]]:
        """Ask one at a time, and give what each way adds to the first token, in milliseconds."""
        set_pace(self._urls[0], 0, 1)
        times = uvloop.run(Pairs(self.ways).run(pairs, WARM_UP_ROUNDS))
        direct = times.pop(DIRECT)
        return {
            name: [(mine - past) * 1e3 for mine, past in zip(own, direct, strict=True)]
            for name, own in times.items()
        }


def set_pace(url: str, first_token_ms: float, token_ms: float) -> None:
    """Tell the fake how to write."""
    connection = http.client.HTTPConnection(url.split("/")[2])
    body = json.dumps({"first_token_ms": first_token_ms, "token_ms": token_ms})
    connection.request("POST", "/pace", body)
    connection.getresponse().read()
    connection.close()


def held_mb(pid: int, way: Way, plan: Plan) -> dict[int, float | None]:
    """Give a router's memory with so many answers open, in MB; with 0: before any.

    None where the limit on open files does not allow it, or they could not be opened in time.
    """
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    found: dict[int, float | None] = {0: round(resident_mb(pid), 1)}

    async def hold(streams: int) -> float | None:
        crowd = Crowd(way, streams)
        try:
            await crowd.connect()
            return resident_mb(pid) if await crowd.hold(OPEN_WITHIN_S) else None
        finally:
            crowd.close()

    for streams in plan.open_streams:
        ends = 1 if way.grpc else 2  # of connections that a router holds for each answer
        fits = streams * ends + SPARE_FILES <= files
        held = uvloop.run(hold(streams)) if fits and found[max(found)] is not None else None
        found[streams] = None if held is None else round(held, 1)
    return found


def measure(plan: Plan) -> dict[str, Any]:
    """Run everything once, and give the figures."""
    settings = load_settings()
    catalog = app.build_catalog(settings)
    build_router(settings, catalog)  # trained ahead, as in service
    encoder = build_encoder(plan_lesson(settings, catalog)) is not None
    adapters = [e.live_revision for e in catalog.experts.values() if e.live]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # children inherit it
    state = settings.state_dir.resolve() / "relay"
    missing: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fake = ["tests.fakes.load_target", f"--tokens={TOKENS}"]
        fake += [f"--adapter={name}" for name in adapters]
        target = stack.enter_context(child(fake, {}, "targets "))
        urls = target.address.split()
        set_pace(urls[0], 0, 0)
        memory: dict[str, dict[int, float | None]] = {}
        with contextlib.ExitStack() as routers:
            pid, grpc, http_address = routers.enter_context(tame(urls, folder))
            questions = asyncio.run(fast_questions(grpc, SENTENCES, encoder=encoder))
            ways = {
                DIRECT: http_way(urls[0].split("/")[2], BASE_MODEL, questions),
                "tame": grpc_way(grpc, questions),
                "tame_http": http_way(http_address, "tame-auto", questions),
            }
            pids = {DIRECT: target.pid, "tame": pid, "tame_http": pid}
            if plan.workers:
                pid, grpc, http_address = routers.enter_context(tame(urls, folder, plan.workers))
                ways["tame_workers"] = grpc_way(grpc, questions, streams=1)
                ways["tame_http_workers"] = http_way(http_address, "tame-auto", questions)
                pids |= {"tame_workers": pid, "tame_http_workers": pid}
            for name in plan.peers:
                try:
                    peer = routers.enter_context(PEERS[name](state, urls, questions))
                except InstallError as error:
                    print(f"{name} is left out: {error}", flush=True)
                    missing[name] = str(error)
                    continue
                ways |= peer.ways
                pids |= dict.fromkeys(peer.ways, peer.pid)
            ring = Ring(ways, pids, target.pid, urls)
            begun = os.getloadavg()[0]
            burst = ring.turns(plan, BURST_AT_ONCE, 0)
            paced = ring.turns(plan, PACED_AT_ONCE, TOKEN_MS)
            added = ring.idle(plan.pairs)
        set_pace(urls[0], 0, 600_000)
        for way in ("tame", "tame_http") if plan.open_streams else ():
            with tame(urls, folder) as (pid, grpc, http_address):
                questions = asyncio.run(fast_questions(grpc, SENTENCES, encoder=encoder))
                asked = grpc_way(grpc, questions)
                if way != "tame":
                    asked = http_way(http_address, "tame-auto", questions)
                memory[way] = held_mb(pid, asked, plan)
        for name in [name for name in plan.peers if name not in missing and plan.open_streams]:
            with PEERS[name](state, urls, questions) as peer:
                memory[name] = held_mb(peer.pid, peer.ways[name], plan)
        load = [round(begun, 1), round(os.getloadavg()[0], 1)]
    return figures(burst, paced, added, memory) | {"machine_load": load, "missing": missing}


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--rounds", type=int, default=4, help="rounds of each kind (4)")
    parser.add_argument("--seconds", type=float, default=3, help="length of a turn (3)")
    parser.add_argument("--pairs", type=int, default=100, help="questions to idle routers (100)")
    parser.add_argument(
        "--open",
        type=int,
        nargs="*",
        default=[1_000, 10_000],
        metavar="N",
        help="streams held open where memory is looked at; none named: it is not (1000 10000)",
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        default=list(PEERS),
        choices=list(PEERS),
        help="routers beside ours; none named: ours alone (all)",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes of ours, 0: no such (2)")
    parser.add_argument("--fill", type=Path, metavar="FILE", help="also put the table here")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw an SVG")
    options = parser.parse_args()
    plan = Plan(
        rounds=options.rounds,
        seconds=options.seconds,
        pairs=options.pairs,
        open_streams=options.open,
        peers=options.peers,
        workers=options.workers,
    )
    found = measure(plan)
    drawn = table(found)
    print(drawn)
    if options.fill:
        PLACE.fill_file(options.fill, drawn)
    if options.plot:
        write_plot(options.plot, found)
    if options.json:
        print(json.dumps(found))
    return bool(found["failed"])


if __name__ == "__main__":
    sys.exit(main())
