"""Write how well segmentation agrees with people's masks: Markdown, JSON and a plot."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_contract.labels import CODES, RESEARCH_NOTICE
from lentigo_contract.segmentation.region import Finding
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.reporting.rendering import render_markdown
from lentigo_trainer.reporting.style import (
    BLUE,
    FAINT,
    INK,
    SMALL,
    VERMILION,
    blank,
    legend,
    plain,
    png,
    title,
)
from lentigo_trainer.reporting.text import number_text
from lentigo_trainer.segmentation.evaluate import (
    METHODS,
    Measured,
    difference,
    summarize,
)
from lentigo_trainer.system.storage import write_whole

TABLE_NAME: Final = "README.md"
METRICS_NAME: Final = "segmentation.json"
PLOT_NAME: Final = "jaccard.png"

_SEED: Final = 0

Summary = dict[str, dict[str, dict[str, Estimate]]]

_HEAD: Final = {
    "jaccard": "Jaccard",
    "thresholded": "Thresholded",
    "dice": "Dice",
    "surface_distance": "Mean distance",
    "hausdorff_95": "Hausdorff, 95 %",
}


@dataclass(frozen=True, slots=True)
class SegmentationResult:
    """Both methods on the images of a data set.

    Attributes:
        measured: of every image, n.
        diagnoses: their codes, [n].
        lesions: what a resample draws whole, [n].
        tuned: whether the methods were tuned on the image's lesion, [n].
    """

    measured: Measured
    diagnoses: npt.NDArray[np.str_]
    lesions: npt.NDArray[np.str_]
    tuned: npt.NDArray[np.bool_]

    def only(self, among: npt.NDArray[np.bool_]) -> "SegmentationResult":
        """Return some of the images, by a mask [n]."""
        return SegmentationResult(
            Measured(self.measured.values[:, among], self.measured.findings[:, among]),
            self.diagnoses[among],
            self.lesions[among],
            self.tuned[among],
        )

    def summary(self) -> Summary:
        """Return every mean with its interval, see `evaluate.summarize`."""
        return summarize(self.measured, self.diagnoses, self.lesions, _SEED)


def write_segmentation(folder: Path, result: SegmentationResult) -> str:
    """Write table, metrics and plot; files of an earlier report are replaced.

    Args:
        folder: where to write; made if missing.
        result: at least one image of a lesion that nothing was tuned on.

    Returns:
        The Markdown.

    Raises:
        StorageError: the disk is full or not writable.
    """
    fresh, tuning = result.only(~result.tuned), result.only(result.tuned)
    summary = fresh.summary()
    apart = difference(fresh.measured, fresh.lesions, _SEED)
    on_tuning = tuning.summary() if len(tuning.lesions) else None
    text = render_markdown(
        "segmentation.md.j2",
        notice=RESEARCH_NOTICE,
        images=len(fresh.lesions),
        lesions=len(np.unique(fresh.lesions)),
        head=["", *_HEAD.values()],
        rows=_rows(summary),
        difference=apart,
        class_head=["", *summary],
        class_rows=_class_rows(summary),
        finding_rows=_finding_rows(fresh.measured),
        tuning_rows=[] if on_tuning is None else _rows(on_tuning),
        tuning_images=len(tuning.lesions),
    )
    values = {
        "notice": RESEARCH_NOTICE,
        "images": len(fresh.lesions),
        "lesions": len(np.unique(fresh.lesions)),
        "methods": _dumped(summary),
        "difference": apart.model_dump(mode="json"),
        "tuning": None if on_tuning is None else _dumped(on_tuning),
    }
    write_whole(
        folder / METRICS_NAME, (json.dumps(values, indent=2, allow_nan=False) + "\n").encode()
    )
    write_whole(folder / PLOT_NAME, jaccard_plot(summary))
    write_whole(folder / TABLE_NAME, text.encode())
    return text


def jaccard_plot(summary: Summary) -> bytes:
    """Draw the mean Jaccard index of each diagnosis by each method, with intervals, as PNG."""
    figure = blank(height=5.4)
    axes = figure.subplots()
    groups = [name for name in ("all", *CODES) if name in summary["classical"]]
    styles = ((-0.14, BLUE, "s"), (0.14, VERMILION, "o"))
    for method, (shift, color, marker) in zip(METHODS, styles, strict=True):
        estimates = [summary[method][name]["jaccard"] for name in groups]
        for row, each in enumerate(estimates):
            if each.low is not None and each.high is not None:
                axes.plot((each.low, each.high), (row + shift,) * 2, color=color, linewidth=2)
        axes.plot(
            [each.value or 0.0 for each in estimates],
            [row + shift for row in range(len(groups))],
            color=color,
            marker=marker,
            linestyle="",
            label=method,
        )
    counts = [summary["classical"][name]["jaccard"].n for name in groups]
    axes.set_yticks(
        range(len(groups)), [f"{name} ({n:,})" for name, n in zip(groups, counts, strict=True)]
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.axvline(0.7, color=FAINT, linestyle="--", label="bound, 0.70")
    axes.set_xlabel("mean Jaccard index, with its 95 % interval", fontsize=SMALL, color=INK)
    plain(axes)
    title(axes, "Agreement with people's masks (and n)")
    legend(figure)
    return png(figure)


def _rows(summary: Summary) -> list[list[str]]:
    return [
        [method.capitalize(), *(number_text(groups["all"][name]) for name in _HEAD)]
        for method, groups in summary.items()
    ]


def _class_rows(summary: Summary) -> list[list[str]]:
    names = [name for name in CODES if name in summary["classical"]]
    return [
        [
            f"{name} (n = {summary['classical'][name]['jaccard'].n:,})",
            *(number_text(groups[name]["jaccard"]) for groups in summary.values()),
        ]
        for name in names
    ]


def _finding_rows(measured: Measured) -> list[list[str]]:
    return [
        [
            method.capitalize(),
            *(f"{int(count):,}" for count in np.bincount(findings, minlength=len(Finding))),
        ]
        for method, findings in zip(METHODS, measured.findings, strict=True)
    ]


def _dumped(summary: Summary) -> dict[str, object]:
    return {
        method: {
            group: {name: each.model_dump(mode="json") for name, each in measures.items()}
            for group, measures in groups.items()
        }
        for method, groups in summary.items()
    }
