"""`lentigo-train prepare`, `fit`, `publish` and `run`: a training run, in steps or in one go."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from lentigo_contract.errors import PublishError
from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.system.resources import available_cores, require_memory
from lentigo_contract.wording import pluralize
from lentigo_trainer.cli.options import (
    EpochsOption,
    ExtraOption,
    ForceOption,
    LimitOption,
    ModelsOption,
    OutOfFoldOption,
    RandomWeightsOption,
    RayOption,
    RecipeOption,
    SeedOption,
    SignOption,
    SourceOption,
    WeightsOption,
    WorkOption,
    absolute,
    cluster_at,
    prepared_from,
    recipe_from,
    weights_from,
)
from lentigo_trainer.config.cluster import read_cluster
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.recipe_file import DEFAULT_RECIPE
from lentigo_trainer.config.training import SelectionMetric, TrainingConfig, WorkFolder
from lentigo_trainer.errors import ClusterError
from lentigo_trainer.models.registry import Weights
from lentigo_trainer.system.native_output import quiet_tensorflow
from lentigo_trainer.system.progress import progress_for

if TYPE_CHECKING:
    from lentigo_trainer.data.dataset import Prepared
    from lentigo_trainer.evaluation.summary import Evaluation
    from lentigo_trainer.export.signing import ModelSigner
    from lentigo_trainer.pipeline import Trained
    from lentigo_trainer.training.workers import Workers

# Bytes in which a run on fifty images ends. In 2.5 GiB the kernel ends it while it rounds to int8,
# late and without a word.
NEEDED_MEMORY: Final = 3 * 2**30

_WORK: Final = Path("work")
_MODELS: Final = Path("models")

_HELPED: Final = "This worker's part is done; the chief has the result."


def prepare(source: SourceOption, work: WorkOption = _WORK) -> None:
    """Check the data set and decode every image once, to one array in --work."""
    prepared = prepared_from(source, work, progress_for())
    ready = pluralize(len(prepared.records), "image is", "images are")
    typer.echo(f"{ready} ready in {work}.")


def fit(  # noqa: PLR0913, PLR0917 - the command's options
    source: SourceOption,
    work: WorkOption = _WORK,
    weights_dir: WeightsOption = None,
    random_weights: RandomWeightsOption = False,
    recipe: RecipeOption = None,
    epochs: EpochsOption = None,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    extra: ExtraOption = None,
    out_of_fold: OutOfFoldOption = None,
    ray: RayOption = None,
    folds_only: Annotated[
        bool,
        typer.Option(
            "--folds-only",
            help="Train only the networks of the recipe's folds, to compare it with others.",
        ),
    ] = False,
) -> None:
    """Train by a recipe and evaluate the result; a killed run resumes where it stopped."""
    weights = weights_from(weights_dir, random_weights)
    chosen = recipe_from(recipe, epochs)
    config = _config(work, weights, chosen, limit, seed, extra, out_of_fold)
    if ray is not None:
        _train_folds_on_cluster(config, source, ray)
    if folds_only:
        if out_of_fold is not None:
            raise typer.BadParameter("Give either --folds-only or --out-of-fold, not both.")
        _train_folds(config, source)
        return
    trained = _train(config, source)
    if trained is None:
        return
    _show(trained.evaluation)
    _track(trained.folder, trained.evaluation)
    typer.echo(f"Curves, confusion matrix and metrics: {trained.folder / 'report'}")


def publish(
    work: WorkOption = _WORK,
    models: ModelsOption = _MODELS,
    finished: Annotated[
        str | None,
        typer.Option(
            "--run",
            help="Which of the work folder's runs, by the name of its recipe or architecture.",
            show_default=f"{DEFAULT_RECIPE}, Lentigo's own recipe",
        ),
    ] = None,
    best: Annotated[
        bool,
        typer.Option(
            "--best",
            help="Publish the best of the work folder's finished runs.",
        ),
    ] = False,
    by: Annotated[
        SelectionMetric, typer.Option(help="What makes a run the best, on the validation images.")
    ] = SelectionMetric.ACCURACY,
    force: ForceOption = False,
    sign: SignOption = None,
) -> None:
    """Publish a finished run as the repository's next version.

    A run that was trained with --limit, or that is worse than a version in --models, is refused.
    """
    if best and finished is not None:
        raise typer.BadParameter("Give either --best or --run, not both.")
    if by is not SelectionMetric.ACCURACY and not best:
        raise typer.BadParameter("--by says how to choose, so it needs --best.")
    folder = work / (finished or DEFAULT_RECIPE)
    if best:
        from lentigo_trainer.export.publishing import best_run  # noqa: PLC0415 - see cli

        folder = best_run(work, by)
    _publish(folder, models, force, _signer(sign))


def run(  # noqa: PLR0913, PLR0917 - the command's options
    source: SourceOption,
    work: WorkOption = _WORK,
    models: ModelsOption = _MODELS,
    weights_dir: WeightsOption = None,
    random_weights: RandomWeightsOption = False,
    recipe: RecipeOption = None,
    epochs: EpochsOption = None,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    extra: ExtraOption = None,
    out_of_fold: OutOfFoldOption = None,
    ray: RayOption = None,
    force: ForceOption = False,
    sign: SignOption = None,
) -> None:
    """Prepare, train, evaluate and publish; resumable at every step.

    A run that was trained with --limit, or that is worse than a version in --models, is not
    published and ends with an error; it is kept in --work.
    """
    weights = weights_from(weights_dir, random_weights)
    signer = _signer(sign)
    if limit is not None and not force:
        typer.echo(
            "Because of --limit this run will not be published, unless --force is given too."
        )
    chosen = recipe_from(recipe, epochs)
    config = _config(work, weights, chosen, limit, seed, extra, out_of_fold)
    if ray is not None:
        _train_folds_on_cluster(config, source, ray)
    trained = _train(config, source)
    if trained is None:
        return
    _show(trained.evaluation)
    _track(trained.folder, trained.evaluation)
    _publish(trained.folder, models, force, signer)


def _track(folder: Path, evaluation: "Evaluation") -> None:
    """Add the results of a finished run to MLflow, where runs are tracked."""
    from lentigo_trainer.export.publishing import candidate_files  # noqa: PLC0415 - see cli
    from lentigo_trainer.training.tracking import tracked_before  # noqa: PLC0415

    run = tracked_before(folder, progress_for())
    if run is None:
        return
    files = candidate_files(folder)
    estimates = {
        "final_accuracy": evaluation.accuracy,
        "final_balanced_accuracy": evaluation.balanced_accuracy,
        "final_melanoma_sensitivity": evaluation.melanoma_sensitivity,
        "final_malignant_auc": evaluation.malignant_auc,
    }
    run.add_metrics({name: e.value for name, e in estimates.items() if e.value is not None})
    run.add_files([folder / "report", files / "manifest.json", files / "model-card.md"])


def _show(evaluation: "Evaluation") -> None:
    from lentigo_trainer.reporting.run_report import tables  # noqa: PLC0415 - see cli

    console = Console()
    for table in tables(evaluation):
        console.print(table)
    console.print(RESEARCH_NOTICE)


def _train(config: TrainingConfig, source: Path) -> "Trained | None":
    """Train, alone or as one of several workers; return None where the chief has the result."""
    with _workers() as workers:
        from lentigo_trainer.pipeline import help_train, train  # noqa: PLC0415 - see cli

        progress = progress_for()
        prepared = _prepared(source, config, workers)
        if workers.chief:
            return train(config, prepared, lambda: datetime.now(UTC), progress, workers=workers)
        help_train(config, prepared, progress, workers, folds_only=False)
    typer.echo(_HELPED)
    return None


def _train_folds(config: TrainingConfig, source: Path) -> None:
    with _workers() as workers:
        from lentigo_trainer.pipeline import help_train, train_folds  # noqa: PLC0415 - see cli

        progress = progress_for()
        prepared = _prepared(source, config, workers)
        if workers.chief:
            answers = train_folds(config, prepared, progress, workers)
            typer.echo(f"Out-of-fold answers: {answers}")
            return
        help_train(config, prepared, progress, workers, folds_only=True)
    typer.echo(_HELPED)


def _train_folds_on_cluster(config: TrainingConfig, source: Path, address: str) -> None:
    """Train the folds on a Ray cluster; what comes after finds them finished.

    Raises:
        ClusterError: the cluster cannot be used, or a fold failed; the others are kept.
    """
    if not config.recipe.folds or config.out_of_fold is not None:
        raise typer.BadParameter(
            "--ray trains the folds of a recipe on a cluster, but here are none to train. Several "
            "machines train one network by TF_CONFIG."
        )
    if read_cluster(os.environ) is not None:
        raise typer.BadParameter("Give either --ray or TF_CONFIG, not both.")
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


def _config(
    work: Path,
    weights: Weights,
    recipe: Recipe,
    limit: int | None,
    seed: int,
    extra: list[Path] | None,
    out_of_fold: Path | None,
) -> TrainingConfig:
    if out_of_fold is not None and not recipe.folds:
        raise typer.BadParameter("--out-of-fold is for a recipe with folds; this one has none.")
    return TrainingConfig(
        work=WorkFolder(work),
        recipe=recipe,
        weights=weights,
        seed=seed,
        limit=limit,
        cores=available_cores(),
        extra=tuple(extra or ()),
        out_of_fold=out_of_fold,
    )


def _signer(key: Path | None) -> "ModelSigner | None":
    if key is None:
        return None
    from lentigo_trainer.export.signing import read_model_signer  # noqa: PLC0415 - see the module

    return read_model_signer(key)


def _track_version(folder: Path, version: int, objection: str | None) -> None:
    from lentigo_trainer.training.tracking import tracked_before  # noqa: PLC0415 - see cli

    run = tracked_before(folder, progress_for())
    if run is not None:
        run.set_tag("lentigo.published_version", str(version))
        run.set_tag("lentigo.forced", str(objection is not None).lower())


def _publish(folder: Path, models: Path, force: bool, signer: "ModelSigner | None") -> None:
    """Publish a finished run, if nothing speaks against it or it is forced.

    Raises:
        PublishError: something speaks against it; the run is kept.
    """
    with quiet_tensorflow():
        from lentigo_trainer.export.publishing import publish_candidate  # noqa: PLC0415 - see cli
        from lentigo_trainer.export.release_gate import find_objection  # noqa: PLC0415 - see cli

    prepared = WorkFolder(folder.parent).prepared
    objection = find_objection(folder, models, prepared, progress_for())
    if objection and not force:
        again = ["--work", folder.parent, "--run", folder.name, "--models", models, "--force"]
        again += [] if signer is None else ["--sign", signer.key]
        command = shlex.join(["lentigo-train", "publish", *map(str, again)])
        raise PublishError(
            f"{folder} is kept, but not published. {objection} To publish it all the same: "
            f"{command}"
        )
    sign = None if signer is None else signer.sign
    stored = publish_candidate(folder, models, objection, sign)
    _track_version(folder, stored.version, objection)
    forced = f". This was forced, and the manifest says why: {objection}" if objection else ""
    signed = "" if signer is None else f", signed with the key {signer.fingerprint}"
    typer.echo(f"Published version {stored.version} in {stored.path}{signed}{forced}")
