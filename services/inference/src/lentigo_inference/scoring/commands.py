"""`lentigo-inference score`: answer every image of an archive."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from lentigo_contract.labels import RESEARCH_NOTICE


def score_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder, a zip or tar file, a CSV or Parquet table of paths or URLs, or a query "
            "to a DICOM archive: dicomweb+https://HOST/PATH?Modality=DMS&StudyDate=20260101-",
        ),
    ],
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            metavar="DIR",
            help="Folder for the results. If it has those of the same run, the run goes on.",
            show_default=False,
        ),
    ],
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column of a table with the paths or URLs; by default path, url or image.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            metavar="N",
            help="Processes on this machine, or actors in a cluster, each with one core and one "
            "model; by default one for each core.",
            show_default=False,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Score on the Ray cluster at HOST:PORT, or auto for the one of this machine.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            min=1,
            max=3600,
            metavar="SECONDS",
            help="For fetching an image by URL, or for an answer of an archive.",
        ),
    ] = 60.0,
    part_size: Annotated[
        int, typer.Option(min=1, max=1_000_000, metavar="N", help="Images in a Parquet file.")
    ] = 1000,
    retry_errors: Annotated[
        bool,
        typer.Option(
            "--retry-errors",
            help="Score parts again in which an image could not be fetched.",
        ),
    ] = False,
) -> None:
    """Answer every image of an archive as the service would, and write one row for each.

    The settings of the service hold: model repository, version, engine, decision, prevalence and
    limits. The results are Parquet files in DIR/rows and a summary. Whatever ends the run, what is
    finished is kept, and the same command goes on from there. For a DICOM archive, set
    LENTIGO_ARCHIVE_USER and LENTIGO_ARCHIVE_PASSWORD_FILE, or LENTIGO_ARCHIVE_KEY_FILE, and
    LENTIGO_ARCHIVE_CA_FILE if its certificate is of an authority of your own.
    """
    # What scores takes a second to load, and `--help` answers at once.
    from lentigo_inference.scoring.archive import Request, score_archive  # noqa: PLC0415

    request = Request(
        source=source,
        to=to,
        column=column,
        workers=workers,
        ray=ray,
        timeout_s=timeout,
        part_size=part_size,
        retry_errors=retry_errors,
    )
    typer.echo(score_archive(request, sys.stderr))
    typer.echo(RESEARCH_NOTICE)
