"""`lentigo-train import`: parse, open what is compared with, call one function."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lentigo_contract.labels import CODES
from lentigo_contract.system.resources import available_cores
from lentigo_contract.wording import pluralize
from lentigo_trainer.errors import LicenseError
from lentigo_trainer.system.progress import Progress, progress_for

if TYPE_CHECKING:
    from lentigo_trainer.data.extra.duplicates import DuplicateIndex
    from lentigo_trainer.data.extra.imported_set import SetSummary


def import_(  # noqa: PLR0913, PLR0917 - the command's options
    images: Annotated[
        list[Path],
        typer.Option(
            help="Folder or zip archive of images, such as a download of the ISIC Archive; may be "
            "given several times. Tables and archives in a folder are found.",
        ),
    ],
    to: Annotated[Path, typer.Option(help="Folder of the set; made if it is missing.")],
    metadata: Annotated[
        list[Path] | None,
        typer.Option(
            help="CSV with the diagnoses: the ISIC Archive's metadata.csv, ground truth and "
            "metadata of ISIC 2019, or a table image,label[,lesion]; may be given several times.",
            show_default="those in --images",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the set.", show_default="the name of the folder --to"),
    ] = None,
    license: Annotated[  # noqa: A002 - the name of the option
        str | None,
        typer.Option(
            help='Licence of images whose metadata states none, such as "CC BY-NC 4.0".',
            show_default=False,
        ),
    ] = None,
    knows: Annotated[
        str | None,
        typer.Option(
            help="Diagnoses that an image could have been given, such as mel,nv,bkl, or all. The "
            "loss of its images speaks of these alone.",
            show_default="those of the table's form, or those that occur",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(help="Folder with HAM10000, to leave out its duplicates.", show_default=False),
    ] = None,
    exclude: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder or zip archive of an evaluation set, or an imported set, to leave out its "
            "duplicates; may be given several times.",
            show_default=False,
        ),
    ] = None,
    keep_out: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.9,
            help="Share of the groups (patients, lesions) that never train, to test on.",
        ),
    ] = 0.3,
) -> None:
    """Import images of other collections into a set beside HAM10000, to test on and train with."""
    from lentigo_trainer.data.extra.duplicates import NearIndex  # noqa: PLC0415 - see cli
    from lentigo_trainer.data.extra.imported_set import SET_NAME  # noqa: PLC0415 - see cli
    from lentigo_trainer.data.extra.importing import import_images  # noqa: PLC0415 - see cli
    from lentigo_trainer.data.extra.licenses import parse_license  # noqa: PLC0415 - see cli
    from lentigo_trainer.data.extra.set_tables import ImportOptions  # noqa: PLC0415 - see cli

    called = name or to.resolve().name.lower()
    if not SET_NAME.fullmatch(called):
        raise typer.BadParameter(
            f"{called!r} cannot name a set. Give --name a word of small letters, digits, - and _."
        )
    default = None if license is None else parse_license(license)
    if license is not None and default is None:
        raise LicenseError(
            f'--license {license!r} is no Creative Commons licence. Write it like "CC BY-NC 4.0" '
            'or "CC0".'
        )
    progress, known = progress_for(), NearIndex()
    compared_with = _index_known(known, source, exclude or [], progress)
    options = ImportOptions(
        name=called,
        parts=tuple(images),
        metadata=tuple(metadata or ()),
        license=default,
        workers=available_cores(),
        kept_out_share=keep_out,
        knows=_codes(knows),
    )
    imported = import_images(options, to, known, compared_with, progress)
    for line in _told(imported.summary, to):
        typer.echo(line)


def _codes(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    codes = CODES if text == "all" else tuple(text.replace(" ", "").split(","))
    if set(codes) <= set(CODES):
        return codes
    raise typer.BadParameter(f"--knows takes all, or some of {', '.join(CODES)} with commas.")


def _index_known(
    known: "DuplicateIndex", source: Path | None, exclude: list[Path], progress: Progress
) -> list[str]:
    """Add HAM10000 and evaluation sets to an index; return what was added, in words."""
    from lentigo_trainer.data.extra.archives import ImageFile, open_contents  # noqa: PLC0415
    from lentigo_trainer.data.extra.decoding import index_images  # noqa: PLC0415
    from lentigo_trainer.data.ham10000 import find_source, open_images  # noqa: PLC0415

    compared, workers = [], available_cores()
    if source is None:
        progress.say("Not compared with HAM10000: give --source to leave out its duplicates.")
    else:
        with open_images(find_source(source)) as readers:
            files = [(image, [ImageFile(".jpg", read)]) for image, read in readers.items()]
            index_images(known, "HAM10000", files, workers, progress)
        compared.append(f"HAM10000 ({pluralize(len(files), 'image')})")
    for part in exclude:
        with open_contents([part]) as contents:
            found = list(contents.images.items())
            index_images(known, part.name, found, workers, progress)
        compared.append(f"{part.name} ({pluralize(len(found), 'image')})")
    return compared


def _told(summary: "SetSummary", to: Path) -> list[str]:
    classes = ", ".join(f"{count:,} {code}" for code, count in summary.classes.items())
    groups = pluralize(summary.groups, "group")
    images = pluralize(summary.images, f"image of {groups} is", f"images of {groups} are")
    left_out = pluralize(sum(summary.left_out.values()), "was left out", "were left out")
    test, train = f"evaluate --model models --set {to}", f"run --extra {to}"
    return [
        f"{images} in {to}: {classes}. Licence: {summary.license}.",
        f"{left_out}; {to / 'left-out.csv'} names them.",
        f"Next: lentigo-train {test}, or lentigo-train {train}",
    ]
