"""The plots of run reports, evaluation pages (PNG) and model cards (SVG), as bytes.

`style` sets how they look.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lentigo_contract.labels import CODES
from lentigo_trainer.errors import MetricError
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.reporting.model_card.evidence import Other
from lentigo_trainer.reporting.reliability import (
    OF_MALIGNANCY,
    OURS,
    malignancy_of,
    reliability,
)
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
    share_axis,
    svg,
    title,
)
from lentigo_trainer.training.work_folder import EpochMetrics


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
    named = [f"{code}\n{n:,}" for code, n in zip(CODES, totals[:, 0], strict=True)]
    axes.set_xticks(range(len(CODES)), CODES)
    axes.set_yticks(range(len(CODES)), named)
    axes.set_xticks(np.arange(len(CODES) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(CODES) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color=GROUND, linewidth=2)
    axes.tick_params(which="both", length=0, labelsize=SMALL, labelcolor=INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("answer", fontsize=SMALL, color=INK)
    axes.set_ylabel("truth, and how many images", fontsize=SMALL, color=INK)
    title(axes, f"{int(np.trace(counts)):,} of {evaluation.examples:,} images answered correctly")
    return png(figure)


def _per_cent(share: float) -> str:
    return "<1 %" if share < 0.005 else f"{100 * share:.0f} %"


def evaluation_plots(card: EvaluationReport) -> dict[str, tuple[str, bytes]]:
    """Draw every picture: file name, what it shows in words, and its bytes."""
    found = {
        "confusion.png": ("Truths against answers", confusion(card.evaluation)),
        "diagnoses.png": ("Sensitivity and specificity of each diagnosis", diagnoses(card)),
        "reliability.png": (
            "Reliability diagram of the answers",
            reliability(card.calibration.after),
        ),
        "risk-coverage.png": ("Risk against coverage", risk_against_coverage(card)),
    }
    if card.calibration.after.malignant_calibration_error is not None:
        found["malignancy.png"] = (
            "Reliability diagram of the probability of malignancy",
            reliability(malignancy_of(card.calibration.after), OF_MALIGNANCY),
        )
    before = card.calibration.before
    if before is not None and before != card.calibration.after:
        found["reliability-before.png"] = (
            "Reliability diagram before calibration",
            reliability(before),
        )
    return found


def diagnoses(card: EvaluationReport) -> bytes:
    """Draw sensitivity and specificity of each diagnosis with their intervals."""
    found = card.diagnoses.values()
    series = (
        ("sensitivity", [each.sensitivity for each in found]),
        ("specificity", [each.specificity for each in found]),
    )
    return png(each_diagnosis(card, series, "Each diagnosis (and how many images)"))


def each_diagnosis(
    card: EvaluationReport, series: Sequence[tuple[str, Sequence[Estimate]]], heading: str
) -> Figure:
    """Set one or two figures of each diagnosis beside each other, with their intervals.

    Args:
        card: whose diagnoses; how many images each has stands beside it.
        series: a name and a figure for each diagnosis, in the card's order.
        heading: what is seen.
    """
    figure = blank(height=6.0)
    axes = figure.subplots()
    marks = ((-0.12, VERMILION, "o"), (0.12, BLUE, "s"))
    for (name, found), (shift, color, marker) in zip(series, marks, strict=False):
        _dots(axes, found, shift, color, marker, name)
    named = [f"{code} ({found.sensitivity.n:,})" for code, found in card.diagnoses.items()]
    axes.set_yticks(range(len(named)), named)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    share_axis(axes.xaxis)
    axes.set_xlabel("share, with its 95 % interval", fontsize=SMALL, color=INK)
    plain(axes)
    title(axes, heading)
    legend(figure)
    return figure


def _dots(
    axes: Axes, figures: Sequence[Estimate], shift: float, color: str, marker: str, name: str
) -> None:
    known = [(place, each) for place, each in enumerate(figures) if each.value is not None]
    for place, each in known:
        if each.low is not None and each.high is not None:
            axes.plot((each.low, each.high), (place + shift,) * 2, color=color, linewidth=2)
    axes.plot(
        [each.value or 0.0 for _, each in known],
        [place + shift for place, _ in known],
        color=color,
        marker=marker,
        linestyle="",
        label=name,
    )


def risk_against_coverage(card: EvaluationReport) -> bytes:
    """Draw the share of wrong answers among the surest ones."""
    curve = card.risk_coverage
    figure = blank(height=5.0)
    axes = figure.subplots()
    covered = [point.coverage for point in curve.points]
    risks = [point.risk for point in curve.points]
    axes.fill_between(
        covered,
        [risk.low or 0.0 for risk in risks],
        [risk.high or 0.0 for risk in risks],
        color=VERMILION,
        alpha=0.2,
        linewidth=0,
        label="95 % interval",
    )
    axes.plot(
        covered,
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


def sensitivities(ours: EvaluationReport, other: Other | None = None) -> bytes:
    """Draw the sensitivity for each diagnosis, beside that of another version if there is one."""
    series = [(OURS, [each.sensitivity for each in ours.diagnoses.values()])]
    if other is not None:
        beside = [each.sensitivity for each in other.figures.diagnoses.values()]
        series.append((other.label, beside))
    return svg(each_diagnosis(ours, series, "Sensitivity for each diagnosis (and n)"))
