"""Plots of a report as SVG, drawn by matplotlib, the one module that knows it.

Colours are names that the page gives its own meaning to, by light and by dark. The same
report gives the same bytes.
"""

import io
import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

from tame_router.evaluation.reliability import Bin
from tame_router.evaluation.risk_coverage import RiskPoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#010101"
MUTED: Final = "#020202"
ACCENT: Final = "#030303"
ON_ACCENT: Final = "#040404"
WRONG: Final = "#050505"

SIZE_IN: Final = (4.6, 3.9)
"""Width and height of a plot; on the page it takes the width it is given."""

_NAMES: Final = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    ACCENT: "var(--accent)",
    ON_ACCENT: "var(--on-accent)",
    WRONG: "var(--wrong)",
}
_STYLE: Final[Any] = {
    "svg.fonttype": "none",  # text stays text: it can be read, searched and copied
    "svg.hashsalt": "tame-router",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_NO_METADATA: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_DARK_CELL: Final = 0.55


def plot_confusion(experts: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Draw a confusion matrix; a cell is as dark as its share of its row.

    Args:
        experts: Names of rows and columns.
        counts: Square; a row for the right expert, a column for the one that answered.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=SIZE_IN, layout="constrained")
        axes = figure.subplots()
        for y, row in enumerate(counts):
            for x, count in enumerate(row):
                _draw_cell(axes, x, y, count, count / max(sum(row), 1))
        places = range(len(experts))
        axes.set_xticks(places, experts, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, experts)
        axes.set(xlim=(-0.5, len(experts) - 0.5), ylim=(len(experts) - 0.5, -0.5))
        axes.tick_params(length=0, labelcolor=INK)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("answered")
        axes.set_ylabel("right")
        return _svg(figure, "confusion", "Confusion matrix: right expert by expert that answered")


def _draw_cell(axes: "Axes", x: int, y: int, count: int, share: float) -> None:
    from matplotlib.patches import Rectangle

    colour = ACCENT if x == y else WRONG
    axes.add_patch(Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, color=INK, alpha=0.04, lw=0))
    axes.add_patch(Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, color=colour, alpha=share, lw=0))
    ink = ON_ACCENT if share > _DARK_CELL else INK if count else MUTED
    axes.text(x, y, f"{count:,}", ha="center", va="center", color=ink)


def plot_reliability(bins: Sequence[Bin]) -> str:
    """Draw how often the router is right against how sure it is, and how often it is that sure."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=SIZE_IN, layout="constrained")
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
        middles = [(b.low + b.high) / 2 for b in bins]
        widths = [0.9 * (b.high - b.low) for b in bins]
        axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=(0, (4, 3)))
        axes.bar(middles, [b.accuracy for b in bins], widths, color=ACCENT, alpha=0.25)
        confidences = [b.confidence for b in bins]
        axes.plot(confidences, [b.accuracy for b in bins], color=ACCENT, marker="o", ms=4, lw=1.5)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share that is right")
        below.bar(middles, [b.questions for b in bins], widths, color=MUTED, alpha=0.5)
        below.set(ylabel="questions", xlabel="highest probability")
        return _svg(figure, "reliability", "Reliability: share that is right by probability")


def plot_risk_coverage(points: Sequence[RiskPoint]) -> str:
    """Draw the share of wrong decisions against the share of questions that is kept."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=SIZE_IN, layout="constrained")
        axes = figure.subplots()
        coverages, risks = [p.coverage for p in points], [p.risk for p in points]
        axes.axhline(risks[-1], color=MUTED, lw=0.8, ls=(0, (4, 3)))
        axes.fill_between(coverages, risks, color=ACCENT, alpha=0.15, lw=0)
        axes.plot(coverages, risks, color=ACCENT, lw=1.8)
        axes.set(xlim=(0, 1), ylim=(0, max(*risks, 0.01) * 1.12))
        axes.set(
            xlabel="share of the questions that is kept", ylabel="share of those that is wrong"
        )
        return _svg(figure, "risk", "Risk and coverage: share that is wrong by share that is kept")


def _svg(figure: "Figure", name: str, title: str) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata=_NO_METADATA)
    drawn = file.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    for colour, variable in _NAMES.items():
        drawn = drawn.replace(colour, variable)
    # Several drawings stand in one page: what one defines must not be taken for another's.
    drawn = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", drawn)
    drawn = re.sub(r' (width|height)="[\d.]+pt"', "", drawn, count=2)
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)
