"""Where a run trains: here, as one of several workers, or its folds on a Ray cluster."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from lentigo_contract.system.resources import require_memory
from lentigo_contract.wording import pluralize
from lentigo_trainer.cli.common.options import absolute, cluster_at, prepared_from, require_alone
from lentigo_trainer.config.cluster import read_cluster
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.errors import ClusterError
from lentigo_trainer.system.native_output import quiet_tensorflow
from lentigo_trainer.system.progress import progress_for

if TYPE_CHECKING:
    from lentigo_trainer.data.dataset import Prepared
    from lentigo_trainer.pipeline import Trained
    from lentigo_trainer.training.workers import Workers

# Bytes in which a run on fifty images ends. In 2.5 GiB the kernel ends it while it rounds to int8,
# late and without a word.
NEEDED_MEMORY: Final = 3 * 2**30

_HELPED: Final = "This worker's part is done; the chief has the result."


def train_run(config: TrainingConfig, source: Path) -> "Trained | None":
    """Train, alone or as one of several workers; return None where the chief has the result.

    Raises:
        LentigoError: as `pipeline.train`.
    """
    with _workers() as workers:
        from lentigo_trainer.pipeline import help_train, train  # noqa: PLC0415 - see cli

        progress = progress_for()
        prepared = _prepared(source, config, workers)
        if workers.chief:
            return train(config, prepared, lambda: datetime.now(UTC), progress, workers=workers)
        help_train(config, prepared, progress, workers, folds_only=False)
    typer.echo(_HELPED)
    return None


def train_folds(config: TrainingConfig, source: Path) -> None:
    """Train only the networks of the folds, alone or as one of several workers.

    Raises:
        LentigoError: as `pipeline.train_folds`.
    """
    with _workers() as workers:
        from lentigo_trainer import pipeline  # noqa: PLC0415 - see cli

        progress = progress_for()
        prepared = _prepared(source, config, workers)
        if workers.chief:
            answers = pipeline.train_folds(config, prepared, progress, workers)
            typer.echo(f"Out-of-fold answers: {answers}")
            return
        pipeline.help_train(config, prepared, progress, workers, folds_only=True)
    typer.echo(_HELPED)


def train_folds_on_cluster(config: TrainingConfig, source: Path, address: str) -> None:
    """Train the folds on a Ray cluster; what comes after finds them finished.

    Raises:
        ClusterError: the cluster cannot be used, or a fold failed; the others are kept.
    """
    if not config.recipe.folds or config.out_of_fold is not None:
        raise typer.BadParameter(
            "--ray trains the folds of a recipe on a cluster, but here are none to train. Several "
            "machines train one network by TF_CONFIG."
        )
    require_alone()
    from lentigo_trainer.calibration.fold_task import FoldTask, run_fold_task  # noqa: PLC0415 - see cli
    from lentigo_trainer.data.splits import choose_rows  # noqa: PLC0415

    progress = progress_for()
    prepared = prepared_from(source, config.work.root, progress)
    folds = range(1, choose_rows(config, prepared).folds.count + 1)
    failed = []
    with cluster_at(address, config.work.root, config.weights, config.extra, progress) as cluster:
        there = absolute(config, cluster.cores)
        tasks = [FoldTask(there, number, config.recipe.epochs) for number in folds]
        for task, outcome in cluster.run(run_fold_task, tasks):
            if isinstance(outcome, tuple):
                progress.say(f"Fold {task.number} of {len(folds)}: {outcome[-1].line()}")
            else:
                failed.append(f"fold {task.number}: {outcome.reason}")
                progress.say(f"Fold {task.number} failed: {outcome.reason}")
    if failed:
        raise ClusterError(
            f"{len(failed)} of {pluralize(len(folds), 'fold')} failed, {failed[0]} Finished folds "
            "are kept; the same command trains the others."
        )


@contextmanager
def _workers() -> "Iterator[Workers]":
    """Load TensorFlow and connect with the other workers that `TF_CONFIG` names, if any."""
    require_memory(NEEDED_MEMORY, "Training")
    task = read_cluster(os.environ)
    if task is not None:
        # Of a worker that has gone it would write pages; our own line says what to do.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        typer.echo(
            f"Worker {task.number + 1} of {len(task.addresses)}: waiting for the others", err=True
        )
    with quiet_tensorflow():
        from lentigo_trainer.training.workers import connected  # noqa: PLC0415 - see cli
    with connected(task) as workers:
        yield workers


def _prepared(source: Path, config: TrainingConfig, workers: "Workers") -> "Prepared":
    """Decode the data set, the chief first: the others may share its work folder."""
    found = prepared_from(source, config.work.root, progress_for()) if workers.chief else None
    workers.agree(finished=True)
    return found or prepared_from(source, config.work.root, progress_for())
