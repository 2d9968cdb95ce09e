"""The plot of `bench/overload.py`: what is answered of what is offered, and how long it takes."""

from collections.abc import Sequence
from pathlib import Path

from bench.joins_plot import ACCENT, MUTED, STYLE


def write_plot(
    file: Path, goodput: Sequence[tuple[float, float]], firsts: Sequence[tuple[float, float]]
) -> None:
    """Draw both over what is offered.

    Args:
        file: Where the SVG goes.
        goodput: Offered and answered, as multiples of the capacity.
        firsts: Offered, and the 99th percentile of times to the first word in milliseconds.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 2.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        offered = [at for at, _ in goodput]
        left.plot(offered, [min(at, 1) for at in offered], color=MUTED, linestyle=":")
        left.plot(offered, [value for _, value in goodput], "o-", color=ACCENT, markersize=4)
        left.set_ylabel("answered")
        left.set_ylim(bottom=0)
        right.plot(offered, [value for _, value in firsts], "o-", color=ACCENT, markersize=4)
        right.set_ylabel("p99 to the first word, ms")
        right.set_ylim(bottom=0)
        for axes in (left, right):
            axes.set_xlabel("offered, in multiples of the capacity")
            axes.patch.set_alpha(0)
        figure.patch.set_alpha(0)
        figure.savefig(
            file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
