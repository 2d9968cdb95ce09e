"""The plot of `bench/joins.py`: when the first word of each join comes, and when it is over."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ACCENT = "#2f7fb8"
MUTED = "#8a8f98"
"""Both can be read on a light and on a dark page."""

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tame-router",
    "font.size": 10,
    "text.color": MUTED,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def write_plot(
    file: Path, firsts: Mapping[str, Sequence[float]], totals: Mapping[str, float]
) -> None:
    """Draw the first words as points, one an answer, and the ends as bars.

    Args:
        file: Where the SVG goes.
        firsts: Times to the first word by join, in milliseconds.
        totals: Median times to the end by join, in milliseconds.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.2), layout="constrained")
        axes = figure.subplots()
        names = list(firsts)
        axes.barh(range(len(names)), [totals[n] for n in names], color=MUTED, alpha=0.3, height=0.5)
        for row, name in enumerate(names):
            axes.plot(firsts[name], [row] * len(firsts[name]), "o", color=ACCENT, markersize=4)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("ms from the question: points are first words, bars the end")
        figure.patch.set_alpha(0)
        axes.patch.set_alpha(0)
        figure.savefig(
            file,
            format="svg",
            metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")),
        )
