"""The plot of a compression, as SVG bytes; `reporting.style` sets its style."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from lentigo_trainer.compression.records import VariantFile, VariantRecord
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

# Okabe and Ito's colours, each with its own mark.
_STYLES: Final = {
    "whole channels": ("#0072b2", "o"),
    "single weights": ("#d55e00", "s"),
    "int8": ("#009e73", "D"),
    "narrower": ("#cc79a7", "^"),
    "uncompressed": (INK, "X"),
}

Numbered = tuple[int, VariantRecord]
"""A variant with its number in the table."""


def accuracy_by_cost(variants: Sequence[Numbered]) -> bytes:
    """Draw what variants lose in balanced accuracy against their size and their latency.

    Args:
        variants: the uncompressed network first, with 0.
    """
    figure = blank(height=9.0)
    top, bottom = figure.subplots(2, 1, sharey=True)
    _panel(top, variants, _megabytes, "file after gzip, MB")
    _panel(bottom, variants, _median, "one image on one core, milliseconds")
    title(top, "Balanced accuracy, minus the uncompressed network's")
    legend(figure, columns=2, panel=top)
    return svg(figure)


def kind_of(record: VariantRecord) -> str:
    """Return under which name of the legend a variant stands; what is in int8 stands there."""
    result = record.result
    if result is None or result.method == "nothing":
        return "uncompressed"
    if result.engine == "litert-int8":
        return "int8"
    if result.channels is not None:
        return "whole channels"
    return "narrower" if result.zeros is None else "single weights"


def _panel(
    axes: Axes,
    variants: Sequence[Numbered],
    cost: Callable[[VariantRecord], float],
    label: str,
) -> None:
    named: set[str] = set()
    for number, record in variants:
        value, whiskers = _loss(record)
        if value is None:
            continue
        kind = kind_of(record)
        colour, mark = _STYLES[kind]
        options: dict[str, Any] = {"label": None if kind in named else kind}
        named.add(kind)
        axes.errorbar(
            cost(record),
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
            str(number),
            (cost(record), value),
            # To the right or to the left in turns, because neighbours are often alike.
            xytext=(6, 5) if number % 2 else (-6, 5),
            ha="left" if number % 2 else "right",
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


def _loss(record: VariantRecord) -> tuple[float | None, tuple[tuple[float], tuple[float]] | None]:
    """Return the difference to the uncompressed network, and how far its interval reaches."""
    if record.differences is None:
        return 0.0, None
    estimate = record.differences["balanced_accuracy"]
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


def _megabytes(record: VariantRecord) -> float:
    return _result(record).compressed_bytes / 1e6


def _median(record: VariantRecord) -> float:
    assert record.latency is not None  # noqa: S101 - whoever has a result was timed
    return record.latency.median_ms


def _result(record: VariantRecord) -> VariantFile:
    assert record.result is not None  # noqa: S101 - see accuracy_by_cost
    return record.result
