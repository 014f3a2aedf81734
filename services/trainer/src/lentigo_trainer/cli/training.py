"""`lentigo-train prepare`, `fit`, `publish` and `run`: a training run, in steps or in one go."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.system.resources import available_cores
from lentigo_contract.wording import pluralize
from lentigo_trainer.cli.common.machines import train_folds, train_folds_on_cluster, train_run
from lentigo_trainer.cli.common.options import (
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
    TeacherOption,
    WeightsOption,
    WorkOption,
    prepared_from,
    recipe_from,
    weights_from,
)
from lentigo_trainer.cli.common.publishing import publish_run, signer_from, warn_of_limit
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.recipe_file import DEFAULT_RECIPE
from lentigo_trainer.config.training import SelectionMetric, TrainingConfig, WorkFolder
from lentigo_trainer.models.architecture import Weights
from lentigo_trainer.system.progress import progress_for

if TYPE_CHECKING:
    from lentigo_trainer.evaluation.summary import Evaluation
    from lentigo_trainer.pipeline import Trained

_WORK: Final = Path("work")
_MODELS: Final = Path("models")


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
    teacher: TeacherOption = None,
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
    config = _config(work, weights, chosen, limit, seed, extra, out_of_fold, teacher)
    if ray is not None:
        train_folds_on_cluster(config, source, ray)
    if folds_only:
        if out_of_fold is not None:
            raise typer.BadParameter("Give either --folds-only or --out-of-fold, not both.")
        train_folds(config, source)
        return
    trained = train_run(config, source)
    if trained is None:
        return
    _show(trained.evaluation)
    _track(trained)
    typer.echo(f"Curves, confusion matrix and metrics: {trained.folder / 'report'}")


def publish(
    work: WorkOption = _WORK,
    models: ModelsOption = _MODELS,
    finished: Annotated[
        str | None,
        typer.Option(
            "--run",
            help="Which of the work folder's runs, by the name of its recipe or architecture; or "
            "a variant that `compress --publish` kept, by its folder there.",
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
    publish_run(WorkFolder(work), folder, models, force, signer_from(sign))


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
    teacher: TeacherOption = None,
    ray: RayOption = None,
    force: ForceOption = False,
    sign: SignOption = None,
) -> None:
    """Prepare, train, evaluate and publish; resumable at every step.

    A run that was trained with --limit, or that is worse than a version in --models, is not
    published and ends with an error; it is kept in --work.
    """
    weights = weights_from(weights_dir, random_weights)
    signer = signer_from(sign)
    warn_of_limit(limit, force)
    chosen = recipe_from(recipe, epochs)
    config = _config(work, weights, chosen, limit, seed, extra, out_of_fold, teacher)
    if ray is not None:
        train_folds_on_cluster(config, source, ray)
    trained = train_run(config, source)
    if trained is None:
        return
    _show(trained.evaluation)
    _track(trained)
    publish_run(config.work, trained.folder, models, force, signer)


def _track(trained: "Trained") -> None:
    from lentigo_trainer.export.tracking import track_results  # noqa: PLC0415 - see cli

    track_results(trained.folder, trained.evaluation, progress_for())


def _show(evaluation: "Evaluation") -> None:
    from lentigo_trainer.reporting.run_report import tables  # noqa: PLC0415 - see cli

    console = Console()
    for table in tables(evaluation):
        console.print(table)
    console.print(RESEARCH_NOTICE)


def _config(
    work: Path,
    weights: Weights,
    recipe: Recipe,
    limit: int | None,
    seed: int,
    extra: list[Path] | None,
    out_of_fold: Path | None,
    teacher: Path | None,
) -> TrainingConfig:
    if out_of_fold is not None and not recipe.folds:
        raise typer.BadParameter("--out-of-fold is for a recipe with folds; this one has none.")
    if teacher is not None and not (recipe.fine_tuning and recipe.fine_tuning.teacher_share):
        raise typer.BadParameter(
            "--teacher is for a recipe with fine_tuning.teacher_share; this one has none."
        )
    return TrainingConfig(
        work=WorkFolder(work),
        recipe=recipe,
        weights=weights,
        seed=seed,
        limit=limit,
        cores=available_cores(),
        extra=tuple(extra or ()),
        out_of_fold=out_of_fold,
        teacher=teacher,
    )
