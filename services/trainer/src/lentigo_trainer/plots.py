"""The pictures of a report, as PNG bytes.

`canvas` says how they are drawn.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator

from lentigo_contract.errors import MetricError
from lentigo_contract.labels import CODES
from lentigo_trainer.canvas import (
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
    title,
)
from lentigo_trainer.evaluation.bootstrap import Figure
from lentigo_trainer.evaluation.metrics import ReliabilityBin
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.training.loop import EpochFigures

FEW: Final = 10
"""Answers below which a point of the reliability diagram is drawn hollow."""


def curves(epochs: Sequence[EpochFigures], baseline: float, majority: str) -> bytes:
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


class Calibrated(Protocol):
    """What the reliability diagram is drawn from: an `Evaluation`, or its part on calibration."""

    @property
    def expected_calibration_error(self) -> Figure:
        """Of all answers."""
        ...

    @property
    def reliability(self) -> Sequence[ReliabilityBin]:
        """The bars."""
        ...


def reliability(evaluation: Calibrated) -> bytes:
    """Draw the share of right answers against the confidence, and how many answers had it."""
    bars = evaluation.reliability
    # A line through points of a few answers would jump about and catch the eye most.
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
