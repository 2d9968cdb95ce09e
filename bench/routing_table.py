"""How the figures of `bench/routing.py` look: one JSON object, and the table made of it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from bench.peer import PeerAnswers
from bench.routing_figures import CELLS, Leads, Quality, Share

DECIMALS = 4
ABSENT = "–"
"""Stands for a figure there is no question for, or no encoder."""

SHARES = {
    "ood_general": "out of domain, sent to general",
    "multi_both": "two domains, both found",
    "two_selected": "one domain, two selected",
    "ece": "calibration error (ECE)",
    "fast_share": "decided without the encoder",
    "accuracy_lost": "accuracy lost by that",
}
TIMES = {
    "fast_us_p50": ("fast tier p50", "µs"),
    "fast_us_p99": ("fast tier p99", "µs"),
    "encoder_ms_p50": ("encoder tier p50", "ms"),
    "encoder_ms_p99": ("encoder tier p99", "ms"),
    "router_ms_p50": ("these questions p50", "ms"),
}


def document(quality: Quality, times: Mapping[str, Any]) -> dict[str, Any]:
    """Write our router's figures as one JSON object; a figure that is not there is null."""
    shares = {
        **{f"accuracy.{name}": share for name, share in quality.leads.accuracy.items()},
        **{f"f1.{name}": share for name, share in quality.f1.items()},
        "ood_general": quality.leads.ood_general,
        "multi_both": quality.multi_both,
        "two_selected": quality.two_selected,
        "ece": quality.ece,
        "fast_share": quality.fast_share,
        "accuracy_lost": quality.accuracy_lost,
    }
    return {
        "accuracy": _values(quality.leads.accuracy),
        "f1": _values(quality.f1),
        **_values({name: shares[name] for name in SHARES}),
        **times,
        "router_ms_p50": round(quality.router_ms_p50, 3),
        "intervals": {name: _interval(share) for name, share in shares.items()},
        "counts": {name: share.questions if share else 0 for name, share in shares.items()},
    }


def peer_document(leads: Leads, behind: Share, answers: PeerAnswers) -> dict[str, Any]:
    """Write a peer's figures as one JSON object."""
    facts = asdict(answers)
    facts.pop("leads")
    rounded = {k: round(v, DECIMALS) if isinstance(v, float) else v for k, v in facts.items()}
    return {
        "accuracy": _values(leads.accuracy),
        "ood_general": _value(leads.ood_general),
        "behind": _value(behind),
        "intervals": {
            **{f"accuracy.{name}": _interval(share) for name, share in leads.accuracy.items()},
            "ood_general": _interval(leads.ood_general),
            "behind": _interval(behind),
        },
        **rounded,
    }


def rows(found: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines of the table."""
    yield f"\n{'':<34}{'figure':>9}  {'95 % interval':<16}{'n':>6}"
    for name in (*CELLS, "all"):
        yield _row(found, f"accuracy {name.replace('.', ' ')}", f"accuracy.{name}")
    for name in found["f1"]:
        yield _row(found, f"F1 {name}", f"f1.{name}")
    known = {name: score for name, score in found["f1"].items() if score is not None}
    worst = min(known, key=lambda name: known[name], default="")
    yield f"{'F1 worst':<34}{_percent(known.get(worst)):>9}  {worst}"
    for name, label in SHARES.items():
        yield _row(found, label, name)
    for name, (label, unit) in TIMES.items():
        value = ABSENT if found[name] is None else f"{found[name]:,} {unit}"
        yield f"{label:<34}{value:>12}"
    for name, peer in found["peers"].items():
        yield from _peer_rows(name, peer)


def _peer_rows(name: str, peer: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n{name} ({peer['lines']:,} lines{'; ' if peer['note'] else ''}{peer['note']})"
    for cell in (*CELLS, "all"):
        value, interval = peer["accuracy"][cell], peer["intervals"][f"accuracy.{cell}"]
        yield _line(f"  accuracy {cell.replace('.', ' ')}", value, interval)
    yield _line(
        "  out of domain, sent to general", peer["ood_general"], peer["intervals"]["ood_general"]
    )
    yield _line("  accuracy behind ours", peer["behind"], peer["intervals"]["behind"])
    yield _line("  given nobody, and so general", peer["unrouted"], None)
    for key, label in (("ms_p50", "a question p50"), ("ms_p50_without_encoder", "without encoder")):
        if peer[key] is not None:
            yield f"  {label:<32}{f'{peer[key]:.2f} ms':>12}"


def _row(found: Mapping[str, Any], label: str, key: str) -> str:
    group, _, name = key.partition(".")
    value = found[group][name] if name else found[group]
    line = _line(label, value, found["intervals"][key])
    return f"{line:<61}{found['counts'][key]:>6,}"


def _line(label: str, value: float | None, interval: list[float] | None) -> str:
    ends = f"{_percent(interval[0])} – {_percent(interval[1])}" if interval else ""
    return f"{label:<34}{_percent(value):>9}  {ends:<16}"


def _percent(share: float | None) -> str:
    return ABSENT if share is None else f"{share:.1%}"


def _values(shares: Mapping[str, Share]) -> dict[str, float | None]:
    return {name: _value(share) for name, share in shares.items()}


def _value(share: Share) -> float | None:
    return round(share.value, DECIMALS) if share else None


def _interval(share: Share) -> list[float] | None:
    return [round(share.low, DECIMALS), round(share.high, DECIMALS)] if share else None
