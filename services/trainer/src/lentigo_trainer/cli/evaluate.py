"""`lentigo-train evaluate`: parse, open what is asked for, call one function."""

import os
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.system.resources import available_cores
from lentigo_trainer.system.progress import progress_for

if TYPE_CHECKING:
    from lentigo_trainer.evaluation.images.image_sets import ImageSet
    from lentigo_trainer.evaluation.report import EvaluationReport


class Part(StrEnum):
    """A part of HAM10000 that trains nobody, or not every recipe, or a part of an imported set."""

    VALIDATION = "validation"
    TUNING = "tuning"
    HOLD_OUT = "hold-out"
    KEPT_OUT = "kept-out"
    TRAINING = "training"
    ALL = "all"


def evaluate(  # noqa: PLR0913, PLR0917 - the command's options
    model: Annotated[
        Path | None,
        typer.Option(
            help="A published version, such as models/lentigo/6, or a repository's newest. With "
            "--url: the version that the service serves, for the check against its training "
            "images and for calibration.",
            show_default=False,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="Evaluate a running service, such as http://127.0.0.1:8000, not in this process. "
            "An API key comes from the environment variable LENTIGO_API_KEY.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            help="Folder with HAM10000: evaluate on images of it that were held back.",
            show_default=False,
        ),
    ] = None,
    imported: Annotated[
        Path | None,
        typer.Option(
            "--set",
            help="Folder of an imported set, see `lentigo-train import`: evaluate on images of "
            "other clinics.",
            show_default=False,
        ),
    ] = None,
    part: Annotated[
        Part | None,
        typer.Option(
            help="Which images. Of --source: the paper's 938 (validation), or lesions that recipes "
            "with hold_out keep from training (tuning, hold-out). Of --set: those that never train "
            "(kept-out), those that `run --extra` trains with (training), or all.",
            show_default="validation, or kept-out of --set",
        ),
    ] = None,
    images: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder or zip archive of .jpg, .jpeg or .png images to evaluate on, with "
            "--truth; may be given several times.",
            show_default=False,
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="What they show: a CSV in the format of ISIC 2018 Task 3 "
            "(image,MEL,NV,BCC,AKIEC,BKL,DF,VASC).",
            show_default=False,
        ),
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            help="HAM10000_metadata.csv, if they are images of it: intervals over lesions, and "
            "metrics by sex, age, site and confirmation.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Also write the metrics to this file.", show_default=False)
    ] = None,
    answers: Annotated[
        bool,
        typer.Option(
            "--answers",
            help="Also keep the answer about every image, with its name, in --json: the model card "
            "compares two versions by them.",
        ),
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            help="Also write a page with plots, index.html, into this folder.", show_default=False
        ),
    ] = None,
    allow_overlap: Annotated[
        bool,
        typer.Option(
            "--allow-overlap",
            help="Evaluate even if images trained the version, by name, bytes, perceptual hash or "
            "lesion; the report says so.",
        ),
    ] = False,
    turned: Annotated[
        bool,
        typer.Option(
            "--turned",
            help="Also ask for every image in eight positions, turned and mirrored, and report how "
            "often the diagnosis stays the same; takes eight times as long. With --model alone.",
        ),
    ] = False,
) -> None:
    """Evaluate a published version, or a running service, on images with a known diagnosis."""
    if model is None and url is None:
        raise _nothing_to_measure()
    if turned and url is not None:
        raise typer.BadParameter("--turned is measured in process: leave --url out.")
    if answers and json is None:
        raise typer.BadParameter("--answers are kept in the file that --json names; give it too.")
    from lentigo_trainer.evaluation.report import write_evaluation_report  # noqa: PLC0415
    from lentigo_trainer.reporting.evaluation_page import write_page  # noqa: PLC0415
    from lentigo_trainer.reporting.run_report import tables  # noqa: PLC0415 - see cli
    from lentigo_trainer.reporting.sentences import sentences  # noqa: PLC0415
    from lentigo_trainer.reporting.tables import laid_out, text_tables  # noqa: PLC0415

    with _opened(source, imported, part, images, truth, metadata) as chosen:
        card = _measured(model, url, chosen, allow_overlap, turned)
    console = Console()
    lesions_known = card.intervals_over == "lesions"
    for table in (*tables(card.evaluation, lesions_known), *map(laid_out, text_tables(card))):
        console.print(table)
    for sentence in (*sentences(card), RESEARCH_NOTICE):
        console.print(sentence, markup=False, highlight=False)
    if json is not None:
        write_evaluation_report(json, card, with_answers=answers)
    if page is not None:
        write_page(page, card)


def _opened(
    source: Path | None,
    imported: Path | None,
    part: Part | None,
    images: list[Path] | None,
    truth: Path | None,
    metadata: Path | None,
) -> "AbstractContextManager[ImageSet]":
    from lentigo_trainer.evaluation.images.image_sets import open_isic_set  # noqa: PLC0415 - see cli

    _require_one_place(source, imported, images, truth)
    if metadata is not None and not images:
        raise typer.BadParameter("--metadata goes with --images; --source has its own.")
    if imported is not None:
        return _open_imported(imported, part or Part.KEPT_OUT)
    if source is not None:
        return _open_held_back(source, part or Part.VALIDATION)
    if part is not None:
        raise typer.BadParameter("--part chooses images of HAM10000 or of a set: give --source.")
    if not images or truth is None:
        raise _no_images()
    return open_isic_set(images, truth, metadata)


def _require_one_place(
    source: Path | None, imported: Path | None, images: list[Path] | None, truth: Path | None
) -> None:
    places = [source is not None, imported is not None, bool(images) or truth is not None]
    if sum(places) != 1:
        raise _no_images()


def _no_images() -> typer.BadParameter:
    return typer.BadParameter("Give either --source, --set, or both --images and --truth.")


def _open_imported(folder: Path, part: Part) -> "AbstractContextManager[ImageSet]":
    from lentigo_trainer.evaluation.external_test import open_external_set  # noqa: PLC0415

    if part is Part.KEPT_OUT:
        return open_external_set(folder, "kept-out")
    if part is Part.TRAINING:
        return open_external_set(folder, "training")
    if part is Part.ALL:
        return open_external_set(folder, "all")
    raise typer.BadParameter(f"--set has no part {part}; choose kept-out, training or all.")


def _open_held_back(source: Path, part: Part) -> "AbstractContextManager[ImageSet]":
    from lentigo_trainer.data.ham10000 import find_source  # noqa: PLC0415 - pandas takes a second
    from lentigo_trainer.evaluation.images.image_sets import (  # noqa: PLC0415 - see cli
        HOLD_OUT,
        TUNING,
        VALIDATION,
        open_held_back,
    )

    parts = {Part.VALIDATION: VALIDATION, Part.TUNING: TUNING, Part.HOLD_OUT: HOLD_OUT}
    if part not in parts:
        raise typer.BadParameter(
            f"--source has no part {part}; choose validation, tuning or hold-out."
        )
    return open_held_back(find_source(source), parts[part])


def _measured(
    model: Path | None, url: str | None, chosen: "ImageSet", allow_overlap: bool, turned: bool
) -> "EvaluationReport":
    from lentigo_trainer.evaluation.evaluate import (  # noqa: PLC0415 - see cli
        EvaluationOptions,
        evaluate_service,
        evaluate_version,
        open_version,
    )
    from lentigo_trainer.evaluation.remote import RemoteService  # noqa: PLC0415
    from lentigo_trainer.system.connection import KEY_VARIABLE, connected_to  # noqa: PLC0415

    how = EvaluationOptions(
        available_cores(), progress_for(), allow_overlap=allow_overlap, turned=turned
    )
    version = None if model is None else open_version(model)
    if url is not None:
        with connected_to(url, os.environ.get(KEY_VARIABLE) or None) as connection:
            return evaluate_service(RemoteService(connection), version, chosen, how)
    if version is None:
        raise _nothing_to_measure()
    return evaluate_version(version, chosen, how)


def _nothing_to_measure() -> typer.BadParameter:
    return typer.BadParameter("Give --model, --url or both: what is to be measured?")
