"""`lentigo-train segment`: how well both segmentations agree with people's masks."""

from pathlib import Path
from typing import Annotated

import typer

from lentigo_contract.labels import CODES
from lentigo_contract.system.resources import available_cores
from lentigo_trainer.cli.common.options import SourceOption, WorkersOption
from lentigo_trainer.errors import MetadataError
from lentigo_trainer.system.progress import progress_for


def segment(
    source: SourceOption,
    masks: Annotated[
        Path,
        typer.Option(
            help="Archive or folder of the masks of HAM10000's lesions, such as "
            "HAM10000_segmentations_lesion_tschandl.zip: ISIC_0024306_segmentation.png and so on."
        ),
    ],
    work: Annotated[
        Path, typer.Option(help="Folder for finished work: results for each image and the report.")
    ] = Path("work"),
    limit: Annotated[
        int | None,
        typer.Option(
            min=7,
            help="Measure on about this many images, drawn at random, each diagnosis in its share.",
            show_default="all",
        ),
    ] = None,
    workers: WorkersOption = None,
) -> None:
    """Segment lesions by two methods, and measure both against people's masks.

    The classical method takes colour, threshold, region and morphology; the other clusters colours
    by a self-generating neural network. Images whose lesion either was tuned on are not counted.
    """
    import numpy as np  # noqa: PLC0415 - see cli

    from lentigo_trainer.data.duplicates.known import merged_lesions  # noqa: PLC0415
    from lentigo_trainer.data.ham10000 import (  # noqa: PLC0415 - pandas takes a second to load
        find_source,
        open_images,
        read_metadata,
        require_images,
    )
    from lentigo_trainer.reporting.segmentation_report import (  # noqa: PLC0415
        SegmentationResult,
        write_segmentation,
    )
    from lentigo_trainer.segmentation.evaluate import measure_masks, tuned_on  # noqa: PLC0415
    from lentigo_trainer.segmentation.images import open_masks  # noqa: PLC0415

    found = find_source(source)
    records = read_metadata(found.metadata)
    tuned, lesions = tuned_on(records), merged_lesions(records)
    diagnoses = records["dx"].to_numpy(str)
    rows = np.arange(len(records))
    if limit is not None:
        # Of the lesions that count; those that chose the parameters would only cost time.
        draw, share = np.random.default_rng(0), limit / np.count_nonzero(~tuned)
        of_class = [draw.permutation(rows[(diagnoses == code) & ~tuned]) for code in CODES]
        rows = np.sort(
            np.concatenate([each[: max(1, round(share * len(each)))] for each in of_class])
        )
    if tuned[rows].all():
        raise MetadataError("No image is left whose lesion the methods were not tuned on.")
    names = records["image_id"].to_numpy(str)[rows].tolist()
    folder = work / ("segmentation" if limit is None else f"segmentation-{limit}")
    with open_images(found) as images, open_masks(masks) as of_people:
        require_images(records.iloc[rows], images.keys(), found.metadata)
        measured = measure_masks(
            names,
            images,
            of_people,
            folder / "images",
            workers or available_cores(),
            progress_for(),
        )
    result = SegmentationResult(measured, diagnoses[rows], lesions[rows], tuned[rows])
    typer.echo(write_segmentation(folder / "report", result))
    typer.echo(f"Report: {folder / 'report'}")
