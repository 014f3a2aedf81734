"""`lentigo-train baseline`: train an older system on the networks' folds, and measure it."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lentigo_contract.system.resources import available_cores
from lentigo_trainer.cli.common.options import SeedOption, SourceOption, WorkersOption
from lentigo_trainer.system.progress import progress_for

if TYPE_CHECKING:
    from lentigo_trainer.baselines.run import BaselineResult
    from lentigo_trainer.data.ham10000 import Source
    from lentigo_trainer.reporting.baseline_report import Beside


class System(StrEnum):
    """A system that the paper builds on."""

    XIE = "xie"
    ASWIN = "aswin"


def baseline(
    system: Annotated[
        System,
        typer.Argument(
            help="xie: segmentation by a self-generating network, 57 features, an ensemble of "
            "back-propagation and fuzzy networks (IEEE TMI 36, 2017). aswin: thresholding, "
            "co-occurrence matrices, a network started by a genetic algorithm (ICCICCT 2014)."
        ),
    ],
    source: SourceOption,
    work: Annotated[
        Path, typer.Option(help="Folder for finished work: features, answers and the report.")
    ] = Path("work"),
    limit: Annotated[
        int | None,
        typer.Option(
            min=50,
            help="Use about this many images, in two folds, for a quick run through every step.",
            show_default="all",
        ),
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option(
            help="File of a network's out-of-fold answers, such as "
            "docs/experiments/trial-14.csv.gz: compare image by image.",
            show_default=False,
        ),
    ] = None,
    ablation: Annotated[
        bool,
        typer.Option(
            "--ablation",
            help="Also train without each group of features and each half of the classifier, and "
            "measure what it adds to the answer benign or malignant.",
        ),
    ] = False,
    workers: WorkersOption = None,
    seed: SeedOption = 0,
) -> None:
    """Train a system from before deep learning on the networks' folds, and measure it beside them.

    It answers the original's question, benign or malignant, and names one of the seven diagnoses.
    """
    from lentigo_trainer.data.ham10000 import find_source  # noqa: PLC0415 - pandas takes a second
    from lentigo_trainer.system.native_output import quiet_tensorflow  # noqa: PLC0415

    with quiet_tensorflow():
        from lentigo_trainer.baselines.run import run_baseline  # noqa: PLC0415 - see cli
        from lentigo_trainer.reporting.baseline_report import write_baseline  # noqa: PLC0415

    found = find_source(source)
    suffix = "" if limit is None else f"-{limit}"
    folder = work / "baselines" / f"{system.value}{suffix}"
    result = run_baseline(
        system.value,
        found,
        folder,
        limit,
        seed,
        workers or available_cores(),
        progress_for(),
        ablation,
    )
    other = None if beside is None else _beside(found, beside, result)
    typer.echo(write_baseline(folder / "report", result, other))
    typer.echo(f"Report: {folder / 'report'}")


def _beside(source: "Source", file: Path, result: "BaselineResult") -> "Beside":
    import numpy as np  # noqa: PLC0415 - see cli

    from lentigo_contract.labels import index_of  # noqa: PLC0415
    from lentigo_trainer.calibration.cross_validation import (  # noqa: PLC0415
        common_rows,
        cross_validate,
        measure,
    )
    from lentigo_trainer.data.duplicates.known import merged_lesions  # noqa: PLC0415
    from lentigo_trainer.data.ham10000 import read_metadata  # noqa: PLC0415
    from lentigo_trainer.data.out_of_fold import read_answers  # noqa: PLC0415
    from lentigo_trainer.reporting.baseline_report import Beside  # noqa: PLC0415

    records = read_metadata(source.metadata)
    labels = np.array([index_of(code) for code in records["dx"]])
    lesions = merged_lesions(records)
    theirs = cross_validate(read_answers(file, records["image_id"].to_numpy(str)), labels, lesions)
    rows = common_rows(result.answers, theirs)
    ours, theirs = result.answers.only(rows), theirs.only(rows)
    return Beside(
        file.name,
        measure(theirs, None, labels, lesions),
        measure(ours, theirs, labels, lesions),
    )
