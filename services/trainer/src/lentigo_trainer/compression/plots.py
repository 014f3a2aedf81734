"""The plot of a compression, as SVG bytes; `reporting.style` sets its style."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.reporting.style import (
    FAINT,
    INK,
    SMALL,
    blank,
    legend,
    plain,
    svg,
    title,
)

STYLES: Final = {
    "whole channels": ("#0072b2", "o"),
    "single weights": ("#d55e00", "s"),
    "int8": ("#009e73", "D"),
    "narrower": ("#cc79a7", "^"),
    "uncompressed": (INK, "X"),
}
"""Colour and mark of each kind; the colours are Okabe and Ito's."""


@dataclass(frozen=True, slots=True)
class Point:
    """A variant in the plot.

    Attributes:
        number: in the table.
        kind: under which name of the legend it stands.
        megabytes: of its file after gzip.
        milliseconds: of one image on one core.
        difference: in balanced accuracy, to the uncompressed network; None for that one.
    """

    number: int
    kind: str
    megabytes: float
    milliseconds: float
    difference: Estimate | None


def accuracy_by_cost(points: Sequence[Point]) -> bytes:
    """Draw what variants lose in balanced accuracy against their size and their latency."""
    figure = blank(height=9.0)
    top, bottom = figure.subplots(2, 1, sharey=True)
    _panel(top, points, lambda each: each.megabytes, "file after gzip, MB")
    _panel(bottom, points, lambda each: each.milliseconds, "one image on one core, milliseconds")
    title(top, "Balanced accuracy, minus the uncompressed network's")
    legend(figure, columns=2, panel=top)
    return svg(figure)


def _panel(
    axes: Axes, points: Sequence[Point], cost_of: Callable[[Point], float], label: str
) -> None:
    named: set[str] = set()
    for point in points:
        value, whiskers = _loss(point.difference)
        if value is None:
            continue
        cost = cost_of(point)
        colour, mark = STYLES[point.kind]
        options: dict[str, Any] = {"label": None if point.kind in named else point.kind}
        named.add(point.kind)
        axes.errorbar(
            cost,
            value,
            yerr=whiskers,
            color=colour,
            marker=mark,
            markersize=7,
            linestyle="",
            elinewidth=1.4,
            capsize=3,
            **options,
        )
        axes.annotate(
            str(point.number),
            (cost, value),
            # To the right or to the left in turns, because neighbours are often alike.
            xytext=(6, 5) if point.number % 2 else (-6, 5),
            ha="left" if point.number % 2 else "right",
            textcoords="offset points",
            fontsize=SMALL,
            color=INK,
        )
    axes.axhline(0, color=FAINT, linestyle="--", linewidth=1)
    axes.set_xlabel(label, fontsize=SMALL, color=INK)
    axes.set_ylabel("points", fontsize=SMALL, color=INK)
    axes.yaxis.set_major_formatter(lambda share, _: f"{round(100 * share, 6):g}")
    plain(axes)
    _scale(axes)


def _loss(
    estimate: Estimate | None,
) -> tuple[float | None, tuple[tuple[float], tuple[float]] | None]:
    """Return a difference, and how far its interval reaches down and up."""
    if estimate is None:
        return 0.0, None
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None or low is None or high is None:
        return value, None
    # A resample's quantile can lie on the other side of the value itself.
    return value, ((max(0.0, value - low),), (max(0.0, high - value),))


def _scale(axes: Axes) -> None:
    axes.margins(x=0.12)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    if high / low < 10:
        axes.set_xscale("linear")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6))
    else:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
