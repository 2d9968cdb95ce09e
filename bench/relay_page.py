"""The table and the plot of `bench/relay.py`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.joins_plot import ACCENT, MUTED, STYLE
from bench.page_place import Place

PLACE = Place(begin="<!-- relay: begin -->", end="<!-- relay: end -->")
TITLES = {
    "tame": "ours, gRPC",
    "tame_http": "ours, HTTP",
    "tame_workers": "ours, gRPC, workers",
    "tame_http_workers": "ours, HTTP, workers",
    "vllm_router": "vllm-router",
    "litellm": "LiteLLM proxy",
}
NONE = "–"


def table(found: Mapping[str, Any]) -> str:
    """Draw all figures as a table, and below it what the measuring itself took."""
    names = [name for name in TITLES if name in found["answers_s"]]
    rows = [
        _row("CPU per answer, burst, ms", found["cpu_ms"]["burst"], names, "{:.2f}"),
        _row("CPU per answer, paced, ms", found["cpu_ms"]["paced"], names, "{:.2f}"),
        _row("answers/s, burst, 16 at once", found["answers_s"], names, "{:,.0f}"),
        _row("added to the first token, idle, p50, ms", found["ttft_added_ms"], names, "{:.2f}"),
        _row("the same, p99, ms", found["ttft_added_ms_p99"], names, "{:.2f}"),
        _row("between tokens, paced, p99, ms", found["gap_ms_p99"], names, "{:.1f}"),
    ]
    for streams, held in found["rss_mb"].items():
        title = f"memory, {int(streams):,} open, MB" if int(streams) else "memory at the start, MB"
        rows.append(_row(title, held, names, "{:,.0f}"))
    for what, title in (
        ("cpu_ms_burst", "CPU, burst"),
        ("cpu_ms_paced", "CPU, paced"),
        ("rates_burst", "answers/s"),
    ):
        ratios = {n: found["ratios"][what].get(n, {}).get("vllm_router") for n in names}
        rows.append(_row(f"{title}, of vllm-router's, turn by turn", ratios, names, "{:.2f} ×"))
    head = "| | " + " | ".join(TITLES[name] for name in names) + " |"
    parts = [head + "\n|---" + "|--:" * len(names) + "|\n" + "\n".join(rows)]
    parts.append(_measuring(found))
    low, high = found["machine_load"]
    parts.append(f"Load average of the machine: {low:g} at the begin, {high:g} at the end.")
    parts += [f"Left out: {name}: {why}." for name, why in found["missing"].items()]
    return "\n\n".join(parts)


def _measuring(found: Mapping[str, Any]) -> str:
    """Draw what load generator and fake took with each router between them, and with none."""
    rows = []
    for kind, by_name in found["own"].items():
        for name, own in by_name.items():
            rows.append(
                f"| {kind}, {TITLES.get(name, 'no router')} | {own['answers_s']:,.0f}"
                f" | {own['load_cpu_ms']:.3f} | {own['load_busy']:.0%}"
                f" | {own['fake_cpu_ms']:.3f} | {own['fake_busy']:.0%} |"
            )
    head = "| | answers/s | load generator, ms | busy | fake, ms | busy |\n"
    return head + "|---|--:|--:|--:|--:|--:|\n" + "\n".join(rows)


def _row(title: str, values: Mapping[str, float | None], names: Sequence[str], form: str) -> str:
    cells = []
    for name in names:
        value = values.get(name)
        cells.append(NONE if value is None else form.format(value))
    return f"| {title} | " + " | ".join(cells) + " |"


def write_plot(file: Path, found: Mapping[str, Any]) -> None:
    """Draw CPU time, answers a second and time to the first token, each on a scale of powers.

    Args:
        file: Where the SVG goes.
        found: The figures.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    names = [name for name in TITLES if name in found["answers_s"]]
    panels = (
        ("CPU per answer, burst, ms", found["cpu_ms"]["burst"]),
        ("CPU per answer, paced, ms", found["cpu_ms"]["paced"]),
        ("answers/s, burst", found["answers_s"]),
        ("added to first token, ms", found["ttft_added_ms"]),
    )
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, 2.4), layout="constrained")
        for axes, (title, values) in zip(
            figure.subplots(1, len(panels), sharey=True), panels, strict=True
        ):
            for row, name in enumerate(names):
                color = ACCENT if name.startswith("tame") else MUTED
                axes.barh(row, max(values[name], 1e-3), color=color, height=0.6)
                axes.annotate(f" {values[name]:,.3g}", (max(values[name], 1e-3), row), va="center")
            axes.set_xscale("log")
            axes.margins(x=0.35)
            axes.set_yticks(range(len(names)), [TITLES[name] for name in names])
            axes.set_title(title, fontsize=9)
        axes.invert_yaxis()
        figure.patch.set_alpha(0)
        for axes in figure.axes:
            axes.patch.set_alpha(0)
        figure.savefig(
            file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
