"""Train one fold of a recipe by itself, in whatever process or on whatever machine.

A task keeps everything in its run's folder, so one that is started again goes on after the last
finished epoch. This module does not load TensorFlow: those who hand out tasks import it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lentigo_contract.errors import LentigoError
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.system.child_process import Ended, run_in_child
from lentigo_trainer.system.native_output import quiet_tensorflow
from lentigo_trainer.system.progress import progress_for
from lentigo_trainer.training.work_folder import EpochMetrics


@dataclass(frozen=True, slots=True)
class FoldTask:
    """What to train.

    Attributes:
        config: how to train; the images are prepared.
        number: of the fold, from 1.
        epochs: to train to; fewer than the recipe's leave it for later, all finish the fold.
    """

    config: TrainingConfig
    number: int
    epochs: int


@dataclass(frozen=True, slots=True)
class FailedFold:
    """Why a task has no result.

    Attributes:
        reason: one or a few sentences.
    """

    reason: str


FoldOutcome = tuple[EpochMetrics, ...] | FailedFold
"""The metrics of the epochs so far, at least those of the task; or why there are none."""


def run_fold_task(task: FoldTask) -> FoldOutcome:
    """Train a fold, or go on with it; raises nothing."""
    try:
        return _train(task)
    except LentigoError as error:
        return FailedFold(str(error))
    except Exception as error:  # noqa: BLE001 - one failing task must not stop the others
        lines = str(error).strip().splitlines() or [""]
        return FailedFold(f"{type(error).__name__}: {lines[0]}")


def run_here(tasks: Sequence[FoldTask]) -> Iterator[tuple[FoldTask, FoldOutcome | Ended]]:
    """Train folds one after another, each in a process of its own; yield each when it has ended."""
    for task in tasks:
        name = f"{task.config.recipe.name}, fold {task.number}"
        yield task, run_in_child(run_fold_task, task, name=name)


def _train(task: FoldTask) -> tuple[EpochMetrics, ...]:
    with quiet_tensorflow():
        from lentigo_trainer.calibration.out_of_fold import fit_fold  # noqa: PLC0415 - see above
        from lentigo_trainer.data.dataset import open_prepared  # noqa: PLC0415
        from lentigo_trainer.data.splits import choose_rows  # noqa: PLC0415
    recipe = task.config.recipe
    config = task.config
    if task.epochs < recipe.epochs:
        config = replace(config, pause_after=task.epochs)
    prepared = open_prepared(config.work.prepared)
    rows = choose_rows(config, prepared)
    return fit_fold(config, prepared, rows, config.work.run(recipe), task.number, progress_for())
