"""Run a sweep: train variants rung by rung, and compare those that reach the end.

Every variant keeps its networks in a folder of its own in the work folder, so a sweep that was
killed goes on where it stopped; what is finished is not trained again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from lentigo_contract.wording import pluralize
from lentigo_trainer import __version__
from lentigo_trainer.calibration.fold_task import FoldOutcome, FoldTask
from lentigo_trainer.config.sweep_file import BASE, Sweep, Variant
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.duplicates.known import merged_lesions
from lentigo_trainer.data.splits import TrainingRows, choose_rows
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.sweep.halving import epochs_at, going_on, mean_of, require_budget, rungs
from lentigo_trainer.sweep.records import SweepRecord, VariantRecord
from lentigo_trainer.system.child_process import Ended
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked
from lentigo_trainer.training.work_folder import EpochMetrics, adopt

RunTasks = Callable[[Sequence[FoldTask]], Iterator[tuple[FoldTask, FoldOutcome | Ended]]]
"""Runs tasks here or on a cluster; yields each with its outcome when it has ended."""

RunEstimates = tuple[dict[str, Estimate], dict[str, Estimate]]
"""The metrics of a finished run, and their differences to those of the base."""

Compare = Callable[[Sequence[TrainingConfig], Prepared, TrainingRows, Progress], list[RunEstimates]]
"""Returns the metrics of finished runs, and their differences to the first; see `comparison`."""

FOLDER: Final = "sweeps"
"""Folder of the work folder for what belongs to sweeps and to no run."""


@dataclass(slots=True)
class _Trial:
    """A variant under way.

    Attributes:
        variant: its recipe.
        config: how it is trained.
        histories: metrics of every epoch so far, by number of the fold.
        reason: why it failed, if it did.
    """

    variant: Variant
    config: TrainingConfig
    histories: dict[int, tuple[EpochMetrics, ...]] = field(default_factory=dict)
    reason: str | None = None

    def score(self) -> float:
        """Return the mean balanced accuracy over the folds after the last epoch, 0..1."""
        return mean_of(
            [history[-1].validation_balanced_accuracy or 0.0 for history in self.histories.values()]
        )

    def epochs(self) -> int:
        """Return how many epochs every fold has."""
        return min(map(len, self.histories.values()), default=0)


def run_sweep(
    sweep: Sweep,
    config: TrainingConfig,
    prepared: Prepared,
    run_tasks: RunTasks,
    compare: Compare,
    progress: Progress,
) -> SweepRecord:
    """Train the variants of a sweep by successive halving, and compare those that reach the end.

    Args:
        sweep: the variants.
        config: how to train; its recipe is replaced by each variant's.
        prepared: the data set.
        run_tasks: trains folds, here or on a cluster.
        compare: evaluates finished runs.
        progress: receives how far it is.

    Raises:
        RecipeError: the sweep may need more epochs than its budget.
        WorkFolderError: a variant's folder was made by another recipe, seed, limit or data set; or
            another sweep is using the work folder.
        StorageError: the disk is full or not writable; what is finished is kept.
    """
    base = replace(config, recipe=sweep.variants[0].recipe)
    rows = choose_rows(base, prepared)
    folds = rows.folds.count
    require_budget(sweep, folds)
    whole = base.recipe.epochs
    steps = rungs(whole, sweep.first_epochs, sweep.reduction)
    trials = {
        each.name: _Trial(each, replace(config, recipe=each.recipe)) for each in sweep.variants
    }
    with locked(config.work.root / FOLDER / sweep.name):
        for trial in trials.values():
            _adopt(trial, sweep, prepared)
        left: tuple[str, ...] = tuple(trials)
        for rung in steps:
            progress.say(
                f"Epoch {rung} of {whole}: {pluralize(len(left), 'variant')}, "
                f"{pluralize(folds, 'fold')} each"
            )
            _train([trials[name] for name in left], rung, whole, folds, run_tasks, progress)
            scores = {name: trials[name].score() for name in left if trials[name].reason is None}
            for name, score in scores.items():
                progress.say(f"{name}: balanced accuracy {score:.4f} after epoch {rung}")
            left = going_on(scores, sweep.reduction) if rung < whole else tuple(scores)
        finished = [trials[name] for name in left]
        found = compare([each.config for each in finished], prepared, rows, progress)
        results = dict(zip(left, found, strict=True))
    lesions = merged_lesions(prepared.records)[rows.folds.rows]
    return SweepRecord(
        name=sweep.name,
        dataset=prepared.digest,
        seed=config.seed,
        limit=config.limit,
        code_version=__version__,
        folds=folds,
        images=len(rows.folds.rows),
        lesions=len(np.unique(lesions)),
        rungs=steps,
        trained_epochs=sum(
            len(history) for trial in trials.values() for history in trial.histories.values()
        ),
        variants=tuple(_record(trial, results.get(name)) for name, trial in trials.items()),
    )


def _adopt(trial: _Trial, sweep: Sweep, prepared: Prepared) -> None:
    """Check that what is kept of a variant is its own: folds are found finished by their name."""
    config = trial.config
    adopt(
        config.work.root / FOLDER / sweep.name / trial.variant.name,
        {
            "recipe": config.recipe.model_dump(mode="json"),
            "seed": config.seed,
            "limit": config.limit,
            "dataset": prepared.digest,
            "weights": "random" if config.weights == "random" else "pretrained",
            "code_version": __version__,
        },
    )


def _train(
    trials: Sequence[_Trial],
    rung: int,
    whole: int,
    folds: int,
    run_tasks: RunTasks,
    progress: Progress,
) -> None:
    by_recipe = {trial.variant.recipe.name: trial for trial in trials}
    tasks = [
        FoldTask(trial.config, number, epochs_at(rung, whole, trial.variant.recipe.epochs))
        for trial in trials
        for number in range(1, folds + 1)
    ]
    for done, (task, outcome) in enumerate(run_tasks(tasks), start=1):
        trial = by_recipe[task.config.recipe.name]
        where = f"{trial.variant.name}, fold {task.number} ({done} of {len(tasks)})"
        if isinstance(outcome, tuple):
            trial.histories[task.number] = outcome
            progress.say(f"{where}: {outcome[-1].line()}")
        else:
            trial.reason = outcome.reason
            progress.say(f"{where} failed: {outcome.reason}")


def _record(trial: _Trial, found: RunEstimates | None) -> VariantRecord:
    state = "left behind" if found is None else "finished"
    metrics, differences = found or (None, None)
    return VariantRecord.model_validate(
        {
            "name": trial.variant.name,
            "changes": trial.variant.changes,
            "recipe": trial.variant.recipe.model_dump(mode="json"),
            "state": "failed" if trial.reason else state,
            "reason": trial.reason,
            "epochs": trial.epochs(),
            "curves": tuple(
                tuple(each.validation_balanced_accuracy or 0.0 for each in history)
                for _, history in sorted(trial.histories.items())
            ),
            "metrics": metrics,
            "differences": None if trial.variant.name == BASE else differences,
        }
    )
