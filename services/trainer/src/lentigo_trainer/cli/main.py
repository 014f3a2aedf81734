"""`lentigo-train`: parse, build a configuration, call one function.

TensorFlow takes seconds to load, so the commands import what needs it when they run, and `--help`
answers at once.
"""

import errno
import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from lentigo_contract.errors import LentigoError, PublishError
from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.system.resources import available_cores, require_memory
from lentigo_trainer.cli.benchmark import benchmark
from lentigo_trainer.cli.compare import compare
from lentigo_trainer.cli.duplicates import duplicates
from lentigo_trainer.cli.evaluate import evaluate
from lentigo_trainer.cli.import_ import import_
from lentigo_trainer.cli.model_card import card
from lentigo_trainer.cli.options import (
    EpochsOption,
    ExtraOption,
    ForceOption,
    LimitOption,
    ModelsOption,
    OutOfFoldOption,
    RandomWeightsOption,
    RecipeOption,
    SeedOption,
    SignOption,
    SourceOption,
    WeightsOption,
    WorkOption,
    prepared_from,
    recipe_from,
    weights_from,
)
from lentigo_trainer.cli.sign import sign as sign_command
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.recipe_file import DEFAULT_RECIPE
from lentigo_trainer.config.training import SelectionMetric, TrainingConfig, WorkFolder
from lentigo_trainer.models.registry import Weights
from lentigo_trainer.system.native_output import quiet_tensorflow
from lentigo_trainer.system.progress import progress_for

if TYPE_CHECKING:
    from lentigo_trainer.evaluation.summary import Evaluation
    from lentigo_trainer.export.signing import ModelSigner
    from lentigo_trainer.pipeline import Trained


FAILED: Final = 1
INTERRUPTED: Final = 130

# Bytes in which a run on fifty images ends. In 2.5 GiB the kernel ends it while it rounds to int8,
# late and without a word.
NEEDED_MEMORY: Final = 3 * 2**30

app = typer.Typer(
    name="lentigo-train",
    help=(
        "Train Lentigo on HAM10000, evaluate it, and publish it for the inference service.\n\n"
        "`lentigo-train run --source FOLDER` does everything. The other commands are its steps; "
        "each keeps finished work in --work and resumes from there when you run it again.\n\n"
        f"{RESEARCH_NOTICE}"
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

_WORK: Final = Path("work")
_MODELS: Final = Path("models")


@app.command()
def fetch(
    to: Annotated[Path, typer.Option(help="Folder to download into; made if missing.")],
    server: Annotated[
        str, typer.Option(help="Address of a Dataverse that holds doi:10.7910/DVN/DBW86T.")
    ] = "https://dataverse.harvard.edu",
) -> None:
    """Download HAM10000, 3 GB, from Harvard Dataverse, and check it; resumable."""
    from lentigo_trainer.data.download import fetch_ham10000  # noqa: PLC0415 - see the module

    files = fetch_ham10000(to, progress_for(), server)
    _say(f"{len(files)} files are in {to}. Next: lentigo-train run --source {to}")


app.command("import")(import_)


@app.command()
def prepare(source: SourceOption, work: WorkOption = _WORK) -> None:
    """Check the data set and decode every image once, to one array in --work."""
    prepared = prepared_from(source, work, progress_for())
    _say(f"{len(prepared.records):,} images are ready in {work}.")


app.command()(duplicates)


app.command()(compare)


@app.command()
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
    if folds_only:
        if out_of_fold is not None:
            raise typer.BadParameter("Give either --folds-only or --out-of-fold, not both.")
        _train_folds(config, source)
        return
    trained = _train(config, source)
    _show(trained.evaluation)
    _say(f"Curves, confusion matrix and metrics: {trained.folder / 'report'}")


app.command()(evaluate)


app.command()(card)


@app.command()
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
        from lentigo_trainer.export.publishing import best_run  # noqa: PLC0415 - see the module

        folder = best_run(work, by)
    _publish(folder, models, force, _signer(sign))


@app.command()
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
        _say("Because of --limit this run will not be published, unless --force is given too.")
    chosen = recipe_from(recipe, epochs)
    config = _config(work, weights, chosen, limit, seed, extra, out_of_fold)
    trained = _train(config, source)
    _show(trained.evaluation)
    _publish(trained.folder, models, force, signer)


app.command("sign")(sign_command)


app.command()(benchmark)


def main() -> None:
    """Run the command line; every error of ours ends in one line and exit code 1."""
    try:
        app()
    except LentigoError as error:
        sys.exit(_failed(str(error)))
    except KeyboardInterrupt:
        _failed("Interrupted. Finished work is kept; run the same command to resume.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe has gone, as `head` does; Python would complain while closing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(errno.EPIPE)


def _failed(message: str) -> int:
    # One line, whatever the width of the terminal: a message may quote one of several lines.
    typer.echo(f"lentigo-train: {' '.join(message.split())}", err=True)
    return FAILED


def _say(message: str) -> None:
    typer.echo(message)


def _show(evaluation: "Evaluation") -> None:
    from lentigo_trainer.reporting.run_report import tables  # noqa: PLC0415 - see the module

    console = Console()
    for table in tables(evaluation):
        console.print(table)
    console.print(RESEARCH_NOTICE)


def _train(config: TrainingConfig, source: Path) -> "Trained":
    require_memory(NEEDED_MEMORY, "Training")
    progress = progress_for()
    prepared = prepared_from(source, config.work.root, progress)

    with quiet_tensorflow():
        from lentigo_trainer.pipeline import train  # noqa: PLC0415 - see the module

    return train(config, prepared, lambda: datetime.now(UTC), progress)


def _train_folds(config: TrainingConfig, source: Path) -> None:
    require_memory(NEEDED_MEMORY, "Training")
    progress = progress_for()
    prepared = prepared_from(source, config.work.root, progress)

    with quiet_tensorflow():
        from lentigo_trainer.pipeline import train_folds  # noqa: PLC0415 - see the module

    _say(f"Out-of-fold answers: {train_folds(config, prepared, progress)}")


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


def _publish(folder: Path, models: Path, force: bool, signer: "ModelSigner | None") -> None:
    """Publish a finished run, if nothing speaks against it or it is forced.

    Raises:
        PublishError: something speaks against it; the run is kept.
    """
    with quiet_tensorflow():
        from lentigo_trainer.export.publishing import publish_candidate  # noqa: PLC0415 - see the module
        from lentigo_trainer.export.release_gate import find_objection  # noqa: PLC0415 - see the module

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
    forced = f". This was forced, and the manifest says why: {objection}" if objection else ""
    signed = "" if signer is None else f", signed with the key {signer.fingerprint}"
    _say(f"Published version {stored.version} in {stored.path}{signed}{forced}")
