"""The plots that compare architectures, as PNG bytes; `reporting.style` sets their style."""

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from lentigo_contract.labels import CODES
from lentigo_trainer.benchmark.records import BenchmarkResult
from lentigo_trainer.errors import MetricError
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.reporting.style import (
    FAINT,
    INK,
    SMALL,
    blank,
    in_per_cent,
    legend,
    plain,
    png,
    title,
)

# Okabe and Ito's colours that stand out from the background, each with its own mark.
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222")
_MARKS: Final = ("o", "s", "^", "D", "v", "P", "X")

Row = tuple[str, BenchmarkResult]
"""The name of an architecture, with what it had less of than its recipe, and its result."""

_WIDE: Final = 30
"""Length of a name above which the legend has a single column."""


def accuracy_by_latency(rows: Sequence[Row]) -> bytes:
    """Draw accuracy and balanced accuracy against the latency of one image.

    Args:
        rows: at least one.

    Raises:
        MetricError: there is no row.
    """
    _require_rows(rows)
    figure = blank(height=8.0)
    top, bottom = figure.subplots(2, 1, sharex=True)
    for index, (name, result) in enumerate(rows):
        evaluation = result.evaluation
        for axes, estimate in ((top, evaluation.accuracy), (bottom, evaluation.balanced_accuracy)):
            if estimate.value is not None:
                axes.errorbar(
                    result.latency["litert"].median_ms,
                    estimate.value,
                    yerr=_whiskers(estimate, estimate.value),
                    label=name,
                    **_style(index),
                )
    baseline = rows[0][1].evaluation.majority_baseline.value
    if baseline is not None:
        top.axhline(baseline, color=FAINT, linestyle="--", label="always the most frequent")
    title(top, "Accuracy")
    title(bottom, "Balanced accuracy")
    bottom.set_xlabel("one image, milliseconds, LiteRT float32", fontsize=SMALL, color=INK)
    _logarithmic(bottom)
    for axes in (top, bottom):
        in_per_cent(axes.yaxis)
        plain(axes)
    legend(figure, _columns(rows), top)
    return png(figure)


def recalls(rows: Sequence[Row]) -> bytes:
    """Draw the recall of each class by each architecture, with its 95 % interval.

    Args:
        rows: at least one.

    Raises:
        MetricError: there is no row.
    """
    _require_rows(rows)
    figure = blank(height=2.4 + 0.28 * len(CODES) * (len(rows) + 1))
    axes = figure.subplots()
    step = 0.8 / len(rows)
    for index, (name, result) in enumerate(rows):
        points = [
            (height + step * (index - (len(rows) - 1) / 2), recall, recall.value)
            for height, recall in enumerate(
                result.evaluation.classes[code].recall for code in CODES
            )
            if recall.value is not None
        ]
        for height, recall, value in points:
            axes.errorbar(
                value,
                height,
                xerr=_whiskers(recall, value),
                label=name if height == points[0][0] else None,
                **_style(index),
            )
    classes = rows[0][1].evaluation.classes
    labels = [f"{code}\n{classes[code].recall.n:,}" for code in CODES]
    axes.set_yticks(range(len(CODES)), labels)
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.02)
    in_per_cent(axes.xaxis)
    axes.set_ylabel("diagnosis, and how many images", fontsize=SMALL, color=INK)
    title(axes, "Recall, with 95 % intervals")
    plain(axes)
    legend(figure, _columns(rows), axes)
    return png(figure)


def _require_rows(rows: Sequence[Row]) -> None:
    if not rows:
        raise MetricError("There is no measured architecture to draw.")


def _style(index: int) -> dict[str, Any]:
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "marker": _MARKS[index % len(_MARKS)],
        "markersize": 8,
        "linestyle": "",
        "elinewidth": 1.6,
        "capsize": 3,
    }


def _whiskers(estimate: Estimate, value: float) -> tuple[tuple[float], tuple[float]] | None:
    if estimate.low is None or estimate.high is None:
        return None
    # A resample's quantile can lie on the other side of the value itself.
    return (max(0.0, value - estimate.low),), (max(0.0, estimate.high - value),)


def _logarithmic(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.margins(x=0.15)
    low, high = axes.get_xlim()
    if high / low < 10:
        axes.set_xscale("linear")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6))
    else:
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())


def _columns(rows: Sequence[Row]) -> int:
    return 1 if any(len(name) > _WIDE for name, _ in rows) else 2
