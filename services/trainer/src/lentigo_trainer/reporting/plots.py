"""The plots of run reports, evaluation pages (PNG) and model cards (SVG), as bytes.

`style` sets how they look.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lentigo_contract.labels import CODES
from lentigo_trainer.errors import MetricError
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.metrics.reliability import ReliabilityBin
from lentigo_trainer.reporting.model_card.evidence import Other
from lentigo_trainer.reporting.style import (
    BLUE,
    FAINT,
    GROUND,
    INK,
    SMALL,
    VERMILION,
    blank,
    in_per_cent,
    legend,
    plain,
    png,
    svg,
    title,
)
from lentigo_trainer.training.work_folder import EpochMetrics

FEW: Final = 10
"""Points of the reliability diagram with fewer answers are drawn hollow."""


def curves(epochs: Sequence[EpochMetrics], baseline: float, majority: str) -> bytes:
    """Draw accuracy and loss by epoch, for training and validation.

    Args:
        epochs: at least one.
        baseline: validation accuracy of always answering the majority class, 0..1.
        majority: that class's code.

    Raises:
        MetricError: there is no epoch.
    """
    if not epochs:
        raise MetricError("There is no epoch to draw; fit for at least one.")
    figure = blank(height=7.2)
    top, bottom = figure.subplots(2, 1, sharex=True)
    numbers = [row.epoch for row in epochs]
    last = epochs[-1]
    style = {"marker": "o", "markersize": 5, "linewidth": 2}
    top.plot(numbers, [row.accuracy for row in epochs], **style, color=BLUE, label="training")
    top.plot(
        numbers,
        [row.validation_accuracy for row in epochs],
        **style | {"marker": "s"},
        color=VERMILION,
        label="validation",
    )
    top.axhline(
        baseline, color=FAINT, linestyle="--", label=f"always {majority}: {100 * baseline:.1f} %"
    )
    bottom.plot(numbers, [row.loss for row in epochs], **style, color=BLUE)
    bottom.plot(
        numbers,
        [row.validation_loss for row in epochs],
        **style | {"marker": "s"},
        color=VERMILION,
    )
    title(top, f"Accuracy: {100 * last.validation_accuracy:.1f} % on validation at the end")
    title(bottom, f"Loss: {last.validation_loss:.3f} on validation at the end")
    in_per_cent(top.yaxis)
    bottom.set_ylim(bottom=0)
    bottom.set_xlabel("epoch", fontsize=SMALL, color=INK)
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    for axes in (top, bottom):
        plain(axes)
    legend(figure)
    return png(figure)


def confusion(evaluation: Evaluation) -> bytes:
    """Draw truths against answers: counts, and each row's shares as shade and in per cent."""
    counts = np.array(evaluation.confusion)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    figure = blank(height=6.6)
    axes = figure.subplots()
    shades = colormaps["Blues"]
    axes.imshow(shares, cmap=shades, vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        if not totals[row, 0]:
            text = "·"
        elif counts[row, column]:
            text = f"{counts[row, column]:,}\n{_per_cent(shares[row, column])}"
        else:
            text = "0"
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            fontsize=SMALL,
            fontweight="bold" if row == column else "normal",
            color="white" if shares[row, column] > 0.5 else INK if counts[row, column] else FAINT,
        )
    labels = [f"{code}\n{n:,}" for code, n in zip(CODES, totals[:, 0], strict=True)]
    axes.set_xticks(range(len(CODES)), CODES)
    axes.set_yticks(range(len(CODES)), labels)
    axes.set_xticks(np.arange(len(CODES) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(CODES) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color=GROUND, linewidth=2)
    axes.tick_params(which="both", length=0, labelsize=SMALL, labelcolor=INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("answer", fontsize=SMALL, color=INK)
    axes.set_ylabel("truth, and how many images", fontsize=SMALL, color=INK)
    title(axes, f"{int(np.trace(counts)):,} of {evaluation.examples:,} images answered correctly")
    return png(figure)


class Calibrated(Protocol):
    """The input of the reliability diagram: an `Evaluation`, or its part on calibration."""

    @property
    def expected_calibration_error(self) -> Estimate:
        """ECE of all answers."""
        ...

    @property
    def reliability(self) -> Sequence[ReliabilityBin]:
        """The bins."""
        ...


def reliability(evaluation: Calibrated) -> bytes:
    """Draw the share of right answers against the confidence, and how many answers had it."""
    bars = evaluation.reliability
    # A line through points of few answers would jump and attract the most attention.
    solid = [bar for bar in bars if bar.n >= FEW]
    scarce = [bar for bar in bars if 0 < bar.n < FEW]
    figure = blank(height=8.0)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    top.plot((0, 1), (0, 1), color=FAINT, linestyle="--", label="as sure as right")
    top.plot(
        [bar.confidence or 0.0 for bar in solid],
        [bar.accuracy or 0.0 for bar in solid],
        color=VERMILION,
        marker="s",
        linewidth=2,
        label="measured",
    )
    if scarce:
        top.plot(
            [bar.confidence or 0.0 for bar in scarce],
            [bar.accuracy or 0.0 for bar in scarce],
            color=VERMILION,
            marker="s",
            linestyle="",
            markerfacecolor=GROUND,
            zorder=3,
            label=f"fewer than {FEW} answers",
        )
    bottom.bar(
        [bar.low for bar in bars],
        [bar.n for bar in bars],
        width=1 / len(bars),
        align="edge",
        color=BLUE,
        alpha=0.35,
        edgecolor=BLUE,
    )
    error = evaluation.expected_calibration_error
    title(top, f"Calibration error {error.value:.3f} (below the dashes: too sure)")
    top.set_ylabel("share of right answers", fontsize=SMALL, color=INK)
    bottom.set_ylabel("answers", fontsize=SMALL, color=INK)
    bottom.set_xlabel("confidence: probability of the answer", fontsize=SMALL, color=INK)
    top.set_ylim(0, 1.02)
    top.set_xlim(0, 1.02)
    in_per_cent(top.yaxis)
    in_per_cent(bottom.xaxis)
    for axes in (top, bottom):
        plain(axes)
    legend(figure)
    return png(figure)


def _per_cent(share: float) -> str:
    return "<1 %" if share < 0.005 else f"{100 * share:.0f} %"


def evaluation_plots(report: EvaluationReport) -> dict[str, tuple[str, bytes]]:
    """Draw every plot; return its caption and its bytes by file name."""
    plots = {
        "confusion.png": ("Truths against answers", confusion(report.evaluation)),
        "diagnoses.png": ("Sensitivity and specificity of each diagnosis", diagnoses(report)),
        "reliability.png": (
            "Reliability diagram of the answers",
            reliability(report.calibration.after),
        ),
        "risk-coverage.png": ("Risk against coverage", risk_against_coverage(report)),
    }
    before = report.calibration.before
    if before is not None and before != report.calibration.after:
        plots["reliability-before.png"] = (
            "Reliability diagram before calibration",
            reliability(before),
        )
    return plots


def diagnoses(report: EvaluationReport) -> bytes:
    """Draw sensitivity and specificity of each diagnosis with their intervals."""
    metrics = report.diagnoses.values()
    series = (
        ("sensitivity", [each.sensitivity for each in metrics]),
        ("specificity", [each.specificity for each in metrics]),
    )
    return png(each_diagnosis(report, series, "Each diagnosis (and how many images)"))


def each_diagnosis(
    report: EvaluationReport, series: Sequence[tuple[str, Sequence[Estimate]]], heading: str
) -> Figure:
    """Draw one or two metrics of each diagnosis side by side, with their intervals.

    Args:
        report: the evaluation; the label of a diagnosis has its number of images.
        series: a name, and an estimate for each diagnosis in the report's order.
        heading: the title of the plot.
    """
    figure = blank(height=6.0)
    axes = figure.subplots()
    marks = ((-0.12, VERMILION, "o"), (0.12, BLUE, "s"))
    for (name, estimates), (shift, color, marker) in zip(series, marks, strict=False):
        _dots(axes, estimates, shift, color, marker, name)
    labels = [f"{code} ({each.sensitivity.n:,})" for code, each in report.diagnoses.items()]
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    share_axis(axes.xaxis)
    axes.set_xlabel("share, with its 95 % interval", fontsize=SMALL, color=INK)
    plain(axes)
    title(axes, heading)
    legend(figure)
    return figure


def share_axis(axis: Axis) -> None:
    """Write shares, 0..1, as per cent."""
    axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def _dots(
    axes: Axes, estimates: Sequence[Estimate], shift: float, color: str, marker: str, name: str
) -> None:
    known = [(row, each) for row, each in enumerate(estimates) if each.value is not None]
    for row, each in known:
        if each.low is not None and each.high is not None:
            axes.plot((each.low, each.high), (row + shift,) * 2, color=color, linewidth=2)
    axes.plot(
        [each.value or 0.0 for _, each in known],
        [row + shift for row, _ in known],
        color=color,
        marker=marker,
        linestyle="",
        label=name,
    )


def risk_against_coverage(report: EvaluationReport) -> bytes:
    """Draw the share of wrong answers among the most certain ones."""
    curve = report.risk_coverage
    figure = blank(height=5.0)
    axes = figure.subplots()
    coverages = [point.coverage for point in curve.points]
    risks = [point.risk for point in curve.points]
    axes.fill_between(
        coverages,
        [risk.low or 0.0 for risk in risks],
        [risk.high or 0.0 for risk in risks],
        color=VERMILION,
        alpha=0.2,
        linewidth=0,
        label="95 % interval",
    )
    axes.plot(
        coverages,
        [risk.value or 0.0 for risk in risks],
        color=VERMILION,
        marker="s",
        markersize=4,
        linewidth=2,
        label="measured",
    )
    axes.axhline(risks[-1].value or 0.0, color=FAINT, linestyle="--", label="without abstaining")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(bottom=0)
    share_axis(axes.xaxis)
    share_axis(axes.yaxis)
    axes.set_xlabel("coverage: share of the images that are answered", fontsize=SMALL, color=INK)
    axes.set_ylabel("wrong among the answers", fontsize=SMALL, color=INK)
    plain(axes)
    title(axes, f"Risk against coverage: {100 * (curve.area.value or 0.0):.1f} % on average")
    legend(figure)
    return png(figure)


_OURS = "this version"


def sensitivities(ours: EvaluationReport, other: Other | None = None) -> bytes:
    """Draw the sensitivity for each diagnosis, beside that of another version if there is one."""
    series = [(_OURS, [each.sensitivity for each in ours.diagnoses.values()])]
    if other is not None:
        others = [each.sensitivity for each in other.figures.diagnoses.values()]
        series.append((other.label, others))
    return svg(each_diagnosis(ours, series, "Sensitivity for each diagnosis (and n)"))


def reliability_beside(ours: EvaluationReport, other: Other | None = None) -> bytes:
    """Draw the share of right answers against the confidence, of one version or of both."""
    figure = blank(height=5.6)
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color=FAINT, linestyle="--", label="as sure as right")
    series: Sequence[tuple[str, EvaluationReport, str, str]] = [(_OURS, ours, VERMILION, "o")]
    if other is not None:
        series = [*series, (other.label, other.figures, BLUE, "s")]
    for name, report, color, marker in series:
        after = report.calibration.after
        # A point of few answers means little and would attract the most attention.
        bars = [bar for bar in after.reliability if bar.n >= FEW]
        error = after.expected_calibration_error.value or 0.0
        axes.plot(
            [bar.confidence or 0.0 for bar in bars],
            [bar.accuracy or 0.0 for bar in bars],
            color=color,
            marker=marker,
            linewidth=2,
            label=f"{name}: error {error:.3f}",
        )
    axes.set_xlim(0, 1.02)
    share_axis(axes.xaxis)
    share_axis(axes.yaxis)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("confidence: probability of the answer", fontsize=SMALL, color=INK)
    axes.set_ylabel("share of right answers", fontsize=SMALL, color=INK)
    plain(axes)
    title(axes, f"Calibration (points of {FEW} answers or more)")
    legend(figure, columns=2)
    return svg(figure)
