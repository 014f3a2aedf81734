"""The plots of a sweep, as PNG bytes; `reporting.style` sets their style."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.ticker import MaxNLocator

from lentigo_trainer.config.sweep_file import BASE
from lentigo_trainer.reporting.style import (
    BLUE,
    FAINT,
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
from lentigo_trainer.sweep.records import SweepRecord, VariantRecord

_MARKS: Final = ("o", "s", "^", "D", "v", "P", "X")
_COLOURS: Final = (BLUE, VERMILION, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK)

_DIFFERENCES: Final = {
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "malignant_auc": "AUC, malignant against benign",
}


def learning_curves(record: SweepRecord) -> bytes:
    """Draw the mean balanced accuracy over the folds by epoch, of every variant."""
    figure = blank(height=5.6)
    axes = figure.subplots()
    for index, variant in enumerate(record.variants):
        length = min(map(len, variant.curves), default=0)
        if not length:
            continue
        means = np.mean([curve[:length] for curve in variant.curves], axis=0)
        axes.plot(
            np.arange(1, length + 1),
            means,
            color=_COLOURS[index % len(_COLOURS)],
            marker=_MARKS[index % len(_MARKS)],
            linestyle="--" if variant.name == BASE else "-",
            label=variant.name,
        )
    for rung in record.rungs[:-1]:
        axes.axvline(rung, color=FAINT, linestyle=":", linewidth=1)
    title(axes, "Balanced accuracy, mean over the folds")
    axes.set_xlabel("epoch", fontsize=SMALL, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    in_per_cent(axes.yaxis)
    plain(axes)
    legend(figure, columns=2, panel=axes)
    return png(figure)


def differences(variants: Sequence[VariantRecord]) -> bytes:
    """Draw what variants gain over the base, with paired intervals.

    Args:
        variants: at least one, each with differences.
    """
    figure = blank(height=1.2 + 1.3 * len(_DIFFERENCES) + 0.35 * len(variants))
    panels = figure.subplots(len(_DIFFERENCES), 1, sharex=True)
    for axes, (name, called) in zip(panels, _DIFFERENCES.items(), strict=True):
        for place, variant in enumerate(variants):
            estimate = (variant.differences or {})[name]
            if estimate.value is None:
                continue
            if estimate.low is not None and estimate.high is not None:
                axes.hlines(place, estimate.low, estimate.high, color=BLUE, linewidth=2)
            axes.plot([estimate.value], [place], "o", color=BLUE)
        axes.axvline(0, color=FAINT, linestyle="--", linewidth=1)
        axes.set_yticks(range(len(variants)), [variant.name for variant in variants])
        axes.set_ylim(len(variants) - 0.5, -0.5)
        title(axes, f"{called}: minus the base")
        plain(axes)
    in_per_cent(panels[-1].xaxis)
    return png(figure)
