"""What a version learned from, on record: data sets, their files, the split and the plan."""

from typing import Annotated

from pydantic import Field

from lentigo_contract.manifest.fields import (
    MAX_ENTRIES,
    Count,
    Name,
    Record,
    Sha256,
    Text,
)


class ImageFiles(Record):
    """The image files, as they were before decoding.

    Attributes:
        width: pixels across, of the most frequent size.
        height: pixels down, of the same size.
        of_this_size: how many of the images have it.
        jpeg_quality: median of the JPEG qualities, 1 to 100, as their quantisation tables tell;
            None where no image is a JPEG.
        digest: SHA-256 over the SHA-256 of every file, in order of the images' names.
    """

    width: Count
    height: Count
    of_this_size: Count
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] | None
    digest: Sha256


class DatasetRecord(Record):
    """The images it learned from.

    Attributes:
        digest: SHA-256 over the names, diagnoses and files of all images.
        files: what the files were; None in versions that do not tell.
    """

    name: Name
    source: Text
    license: Text
    images: Count
    digest: Sha256
    files: ImageFiles | None = None


class ExtraDatasetRecord(Record):
    """Images of other collections that it learned from besides.

    Attributes:
        name: of the imported set.
        license: with every condition of every image.
        licenses: how many images of the set are under each.
        attributions: whom to credit, and for how many images of the set.
        images: how many of them trained.
        kept_out: images of the set that never train, to test on.
        classes: images of each diagnosis in the set, by code.
        knows: the diagnoses that an image could have been given; the loss of its images speaks of
            these alone.
        left_out: images of the collection that were not imported, by reason.
        compared_with: what was searched for duplicates, in words.
        digest: of the set.
    """

    name: str
    license: str
    licenses: dict[str, Count]
    attributions: dict[str, Count]
    images: Count
    kept_out: Count
    classes: dict[str, Count]
    knows: Annotated[tuple[str, ...], Field(strict=False)]
    left_out: dict[str, Count]
    compared_with: Annotated[tuple[str, ...], Field(strict=False)]
    digest: Sha256


class SplitRecord(Record):
    """Images that trained and images that were held back.

    Attributes:
        tuning: images that chose temperature and thresholds and trained nothing.
        hold_out: images that nothing was trained on or chosen by.
    """

    train: Count
    validation: Count
    tuning: Count = 0
    hold_out: Count = 0
    digest: Sha256


class PlanRecord(Record):
    """The augmentation plan: training rows, altogether and by diagnosis code."""

    rows: Count
    per_class: Annotated[dict[Name, Count], Field(max_length=MAX_ENTRIES)]
    digest: Sha256
