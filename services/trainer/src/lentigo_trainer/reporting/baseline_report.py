"""Write what a baseline is worth: Markdown, JSON, and the pages that networks have."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_trainer.baselines.features.sets import FEATURE_SETS
from lentigo_trainer.baselines.run import TITLES, BaselineResult
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.reporting.evaluation_page import write_page
from lentigo_trainer.reporting.rendering import render_markdown
from lentigo_trainer.reporting.text import (
    change_text,
    number_text,
    out_of_fold_difference,
    out_of_fold_name,
    out_of_fold_text,
    share_text,
)
from lentigo_trainer.system.storage import write_whole

TABLE_NAME: Final = "README.md"
METRICS_NAME: Final = "baseline.json"

_BINARY: Final = {
    "auc": "AUC",
    "accuracy": "Accuracy",
    "always_benign": 'Accuracy of always saying "benign"',
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
}


@dataclass(frozen=True, slots=True)
class Beside:
    """A network on the same images.

    Attributes:
        name: of the file with its out-of-fold answers.
        metrics: its metrics, by the names of `cross_validation.MEASURED`.
        differences: the baseline's minus its own.
    """

    name: str
    metrics: dict[str, Estimate]
    differences: dict[str, Estimate]


def write_baseline(folder: Path, result: BaselineResult, beside: Beside | None) -> str:
    """Write the report of a baseline; files of an earlier one are replaced.

    Args:
        folder: where to write; made if missing.
        result: of the run.
        beside: a network to compare with.

    Returns:
        The Markdown.

    Raises:
        StorageError: the disk is full or not writable.
    """
    text = baseline_markdown(result, beside)
    write_whole(folder / TABLE_NAME, text.encode())
    values = {
        "notice": RESEARCH_NOTICE,
        "system": result.system,
        "limit": result.limit,
        "folds": result.folds,
        "images": result.images,
        "lesions": result.lesions,
        "without_lesion": result.without_lesion,
        "metrics": _dumped(result.metrics),
        "binary": _dumped(result.binary),
    }
    if result.reduced is not None:
        values["ablation"] = {
            name: {"features": part.features, **_dumped({"auc": part.auc, "lost": part.lost})}
            for name, part in result.reduced.items()
        }
    if beside is not None:
        values["beside"] = {
            "name": beside.name,
            "metrics": _dumped(beside.metrics),
            "differences": _dumped(beside.differences),
        }
    content = json.dumps(values, indent=2, allow_nan=False) + "\n"
    write_whole(folder / METRICS_NAME, content.encode())
    write_page(folder / "out-of-fold", result.out_of_fold)
    write_page(folder / "validation", result.validation)
    return text


def baseline_markdown(result: BaselineResult, beside: Beside | None) -> str:
    """Write the table of a baseline, beside a network if there is one."""
    rows = []
    for name, estimate in result.metrics.items():
        row = [out_of_fold_name(name), out_of_fold_text(name, estimate), f"{estimate.n:,}"]
        if beside is not None:
            row += [
                out_of_fold_text(name, beside.metrics[name]),
                out_of_fold_difference(name, beside.differences[name]),
            ]
        rows.append(row)
    more = [] if beside is None else ["Network", "Difference"]
    return render_markdown(
        "baseline.md.j2",
        title=TITLES[result.system],
        notice=RESEARCH_NOTICE,
        limit=result.limit,
        images=result.images,
        lesions=result.lesions,
        folds=result.folds,
        without_lesion=result.without_lesion,
        binary_rows=[
            (
                title,
                (number_text if name == "auc" else share_text)(result.binary[name]),
                f"{result.binary[name].n:,}",
            )
            for name, title in _BINARY.items()
        ],
        ablation_rows=_ablation_rows(result),
        head=["", "This baseline", "n", *more],
        rows=rows,
        beside=None if beside is None else beside.name,
    )


def _ablation_rows(result: BaselineResult) -> list[tuple[str, str, str, str]]:
    if result.reduced is None:
        return []
    whole = result.binary["auc"]
    features = len(FEATURE_SETS[result.system].names)
    return [
        ("the whole system", f"{features}", number_text(whole), "-"),
        *(
            (name, f"{part.features}", number_text(part.auc), change_text(part.lost))
            for name, part in result.reduced.items()
        ),
    ]


def _dumped(metrics: dict[str, Estimate]) -> dict[str, object]:
    return {name: estimate.model_dump(mode="json") for name, estimate in metrics.items()}
