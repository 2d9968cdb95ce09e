"""The figures of `bench/relay.py`, from what came of each router's turns."""

import statistics
from dataclasses import dataclass, field
from typing import Any, Final

from bench.relay_load import Outcome, p99

DIRECT: Final = "direct"
"""The way past all routers."""

OURS: Final = ("tame", "tame_http", "tame_workers", "tame_http_workers")


@dataclass(slots=True, kw_only=True)
class Turns:
    """What came of one way's turns of a kind.

    Attributes:
        whole: All turns together.
        cpu_ms: CPU time of the router for an answer, turn by turn.
        rates: Answers a second, turn by turn.
        target_cpu_s: CPU time of the fake.
    """

    whole: Outcome = field(default_factory=Outcome)
    cpu_ms: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    target_cpu_s: float = 0.0


def figures(
    burst: dict[str, Turns],
    paced: dict[str, Turns],
    added: dict[str, list[float]],
    memory: dict[str, dict[int, float | None]],
) -> dict[str, Any]:
    """Put the figures together, by what they are and whose they are; medians over turns."""
    names = [name for name in burst if name != DIRECT]
    kinds = {"burst": burst, "paced": paced}

    def cpu(turns: dict[str, Turns]) -> dict[str, float]:
        return {name: round(statistics.median(turns[name].cpu_ms), 3) for name in names}

    def of_peers(turns: dict[str, Turns], what: str, name: str) -> dict[str, float]:
        pairs = {peer: getattr(turns[peer], what) for peer in names if peer not in OURS}
        own = getattr(turns[name], what)
        return {
            peer: round(statistics.median(a / b for a, b in zip(own, theirs, strict=True)), 3)
            for peer, theirs in pairs.items()
        }

    return {
        "cpu_ms": {kind: cpu(turns) for kind, turns in kinds.items()},
        "answers_s": {name: round(statistics.median(burst[name].rates), 1) for name in names},
        "ttft_added_ms": {n: round(statistics.median(own), 3) for n, own in added.items()},
        "ttft_added_ms_p99": {n: round(p99(own), 3) for n, own in added.items()},
        "gap_ms_p99": {n: round(p99(paced[n].whole.gaps_s) * 1e3, 2) for n in paced},
        "rss_mb": {
            str(streams): {name: held[streams] for name, held in memory.items()}
            for streams in next(iter(memory.values()), {})
        },
        "ratios": {
            f"{what}_{kind}": {name: of_peers(turns, what, name) for name in OURS if name in turns}
            for kind, turns, what in (
                ("burst", burst, "cpu_ms"),
                ("paced", paced, "cpu_ms"),
                ("burst", burst, "rates"),
            )
        },
        "own": {
            kind: {name: _own(mine) for name, mine in turns.items()}
            for kind, turns in kinds.items()
        },
        "failed": sum(t.whole.failed for turns in kinds.values() for t in turns.values()),
    }


def _own(turns: Turns) -> dict[str, float]:
    """Tell what load generator and fake took, and how much of a core they were busy."""
    whole = turns.whole
    spent = {"load": whole.load_cpu_s, "fake": turns.target_cpu_s}
    busy = {f"{name}_busy": round(s / max(whole.elapsed_s, 1e-9), 3) for name, s in spent.items()}
    cpu = {f"{name}_cpu_ms": s / max(whole.answers, 1) * 1e3 for name, s in spent.items()}
    return {
        "answers": whole.answers,
        "answers_s": round(statistics.median(turns.rates), 1),
        **{name: round(ms, 3) for name, ms in cpu.items()},
        **busy,
    }
