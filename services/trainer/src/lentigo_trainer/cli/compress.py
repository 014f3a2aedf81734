"""`lentigo-train compress`: parse, build a configuration, call one function."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from lentigo_contract.system.resources import available_cores, require_memory
from lentigo_trainer.cli.common.machines import NEEDED_MEMORY
from lentigo_trainer.cli.common.options import (
    ExtraOption,
    ForceOption,
    LimitOption,
    ModelsOption,
    RandomWeightsOption,
    SeedOption,
    SignOption,
    SourceOption,
    WeightsOption,
    WorkOption,
    prepared_from,
    require_alone,
    weights_from,
)
from lentigo_trainer.cli.common.publishing import publish_run, signer_from, warn_of_limit
from lentigo_trainer.config.compression_file import read_compression
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.system.native_output import quiet_tensorflow
from lentigo_trainer.system.progress import progress_for

_WORK: Final = Path("work")
_MODELS: Final = Path("models")
_FAILED: Final = 1


def compress(  # noqa: PLR0913, PLR0917 - the command's options
    file: Annotated[
        Path,
        typer.Argument(
            metavar="COMPRESSION.toml", help="Variants to make, such as recipes/compression.toml."
        ),
    ],
    source: SourceOption,
    work: WorkOption = _WORK,
    fold: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Fold whose network is compressed, and whose images measure.",
            show_default="the file's",
        ),
    ] = None,
    network: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="checkpoint.npz of that fold, after its last epoch.",
            show_default="train the network by the recipe",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Make only this variant, and what it is made of; may be given several times.",
            show_default=False,
        ),
    ] = None,
    weights_dir: WeightsOption = None,
    random_weights: RandomWeightsOption = False,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    extra: ExtraOption = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Folder for compression.json, README.md and the plot.",
            show_default="report in the folder of the compression",
        ),
    ] = None,
    publish: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Publish this variant as the next version of --models, if nothing speaks against "
            "it.",
            show_default="publish nothing",
        ),
    ] = None,
    models: ModelsOption = _MODELS,
    force: ForceOption = False,
    sign: SignOption = None,
) -> None:
    """Prune, narrow and round the network of a fold, and compare what comes out; resumable.

    Every variant is fine-tuned on the other folds, and measured on the images of this one by the
    file that would be served. The exit code is 1 if a variant failed; the others are compared all
    the same, and the same command tries it again.

    With --publish, calibration and thresholds of that variant are chosen on this fold, and it goes
    through the same gate as every version. One that is refused is kept in --work.
    """
    require_alone()
    found = read_compression(file)
    weights = weights_from(weights_dir, random_weights)
    if publish is None and (force or sign is not None):
        raise typer.BadParameter("--force and --sign are for --publish.")
    signer = signer_from(sign)
    if publish is not None:
        warn_of_limit(limit, force)
    require_memory(NEEDED_MEMORY, "Training")
    with quiet_tensorflow():
        from lentigo_trainer.compression.candidates import make_candidate  # noqa: PLC0415 - see cli
        from lentigo_trainer.compression.context import (  # noqa: PLC0415
            CompressionConfig,
            open_context,
        )
        from lentigo_trainer.compression.report import write_report  # noqa: PLC0415
        from lentigo_trainer.compression.run import compress as run_compression  # noqa: PLC0415
    progress = progress_for()
    config = CompressionConfig(
        compression=found,
        training=TrainingConfig(
            work=WorkFolder(work),
            recipe=found.recipe,
            weights=weights,
            seed=seed,
            limit=limit,
            cores=available_cores(),
            extra=tuple(extra or ()),
        ),
        fold=found.fold if fold is None else fold,
        checkpoint=network,
        only=tuple(only or ()),
        publish=publish,
    )
    prepared = prepared_from(source, work, progress)
    with open_context(config, prepared, progress) as context:
        record = run_compression(context)
        folder = report or config.folder / "report"
        write_report(record, folder)
        typer.echo(f"The report is in {folder}")
        if publish is not None:
            candidate = make_candidate(context, publish, lambda: datetime.now(UTC))
            publish_run(config.training.work, candidate, models, force, signer)
    if any(variant.reason for variant in record.variants):
        raise typer.Exit(_FAILED)
