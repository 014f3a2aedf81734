"""`lentigo-train sweep`: parse, build a configuration, call one function."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lentigo_contract.system.resources import available_cores, require_memory
from lentigo_trainer.cli.common.machines import NEEDED_MEMORY
from lentigo_trainer.cli.common.options import (
    EpochsOption,
    LimitOption,
    RandomWeightsOption,
    RayOption,
    SeedOption,
    SourceOption,
    WeightsOption,
    WorkOption,
    absolute,
    cluster_at,
    prepared_from,
    require_alone,
    weights_from,
)
from lentigo_trainer.config.sweep_file import read_sweep
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.system.native_output import quiet_tensorflow
from lentigo_trainer.system.progress import Progress, progress_for

if TYPE_CHECKING:
    from lentigo_trainer.calibration.fold_task import FoldOutcome, FoldTask
    from lentigo_trainer.data.dataset import Prepared
    from lentigo_trainer.data.splits import TrainingRows
    from lentigo_trainer.sweep.run import RunEstimates, RunTasks
    from lentigo_trainer.system.child_process import Ended
    from lentigo_trainer.system.ray_cluster import RayCluster

_WORK: Final = Path("work")
_FAILED: Final = 1


def sweep(  # noqa: PLR0913, PLR0917 - the command's options
    file: Annotated[
        Path, typer.Argument(metavar="SWEEP.toml", help="Variants of a recipe to compare.")
    ],
    source: SourceOption,
    work: WorkOption = _WORK,
    weights_dir: WeightsOption = None,
    random_weights: RandomWeightsOption = False,
    epochs: EpochsOption = None,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    ray: RayOption = None,
    report_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder for sweep.json, README.md and plots.",
            show_default="WORK/sweeps/NAME/report",
        ),
    ] = None,
) -> None:
    """Train variants of a recipe by successive halving and compare them in pairs; resumable.

    Each variant trains the networks of the recipe's folds, and answers for the images that each has
    never seen. The exit code is 1 if a variant failed; the others are compared all the same.
    """
    from lentigo_trainer.calibration.fold_task import run_here  # noqa: PLC0415 - see cli
    from lentigo_trainer.sweep.report import write_report  # noqa: PLC0415
    from lentigo_trainer.sweep.run import FOLDER, run_sweep  # noqa: PLC0415
    from lentigo_trainer.sweep.tracking import track_sweep  # noqa: PLC0415

    require_alone()
    chosen = read_sweep(file, epochs)
    weights = weights_from(weights_dir, random_weights)
    require_memory(NEEDED_MEMORY, "Training")
    progress = progress_for()
    config = TrainingConfig(
        work=WorkFolder(work),
        recipe=chosen.variants[0].recipe,
        weights=weights,
        seed=seed,
        limit=limit,
        cores=available_cores(),
    )
    prepared = prepared_from(source, work, progress)
    with ExitStack() as stack:
        run_tasks: RunTasks = run_here
        if ray is not None:
            run_tasks = _on(stack.enter_context(cluster_at(ray, work, weights, (), progress)))
        record = run_sweep(chosen, config, prepared, run_tasks, _compare, progress)
    folder = report_dir or work / FOLDER / chosen.name / "report"
    track_sweep(record, work / FOLDER / chosen.name, write_report(record, folder), progress)
    typer.echo(f"The report is in {folder}")
    if any(variant.state == "failed" for variant in record.variants):
        raise typer.Exit(_FAILED)


def _on(cluster: "RayCluster") -> "RunTasks":
    from lentigo_trainer.calibration.fold_task import run_fold_task  # noqa: PLC0415 - see cli

    def run(tasks: "Sequence[FoldTask]") -> "Iterator[tuple[FoldTask, FoldOutcome | Ended]]":
        return cluster.run(
            run_fold_task,
            [replace(task, config=absolute(task.config, cluster.cores)) for task in tasks],
        )

    return run


def _compare(
    configs: Sequence[TrainingConfig],
    prepared: "Prepared",
    rows: "TrainingRows",
    progress: Progress,
) -> "list[RunEstimates]":
    with quiet_tensorflow():
        from lentigo_trainer.sweep.comparison import compare_runs  # noqa: PLC0415 - see cli
    return compare_runs(configs, prepared, rows, progress)
