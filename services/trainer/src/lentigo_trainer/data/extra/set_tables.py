"""The tables of an imported set: a row for each image, what was left out, and what the set is."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lentigo_contract.labels import CODES
from lentigo_trainer.data.dataset import DECODER
from lentigo_trainer.data.extra.diagnoses import diagnosis_table, meaning_of
from lentigo_trainer.data.extra.groups import KEPT_OUT_SHARE, group_names
from lentigo_trainer.data.extra.imported_set import (
    COLUMNS,
    LEFT_OUT,
    RECORDS,
    SUMMARY,
    SetSummary,
    group_id,
)
from lentigo_trainer.data.extra.licenses import License, strictest
from lentigo_trainer.data.extra.metadata import MetadataRow
from lentigo_trainer.data.extra.selection import LeftOut, UsableRow
from lentigo_trainer.data.provenance import digest_of
from lentigo_trainer.system.storage import write_whole


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What to import, and how.

    Attributes:
        name: of the set.
        parts: folders and archives that hold the images, and tables if `metadata` names none.
        metadata: tables of the images.
        license: of images whose row states none.
        workers: threads that decode.
        kept_out_share: share of the groups that never train.
        knows: codes of the diagnoses that an image could have been given; None to take it from the
            tables, or else from the images.
    """

    name: str
    parts: tuple[Path, ...]
    metadata: tuple[Path, ...]
    license: License | None
    workers: int
    kept_out_share: float = KEPT_OUT_SHARE
    knows: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class WrittenImage:
    """An image that is in the set.

    Attributes:
        name: without suffix.
        sha256: of its bytes, hex.
        width: of the file, in pixels.
        height: of the file, in pixels.
    """

    name: str
    sha256: str
    width: int
    height: int


@dataclass(slots=True)
class WrittenImages:
    """The images that are in the set.

    Attributes:
        images: in their order.
        same: pairs of images of the collection that show the same picture.
    """

    images: list[WrittenImage]
    same: list[tuple[str, str]]


def write_tables(
    to: Path,
    options: ImportOptions,
    chosen: Mapping[str, UsableRow],
    kept: WrittenImages,
    left_out: LeftOut,
    *,
    compared_with: Sequence[str],
    knows: Collection[str] | None,
) -> SetSummary:
    """Write `records.csv`, `left-out.csv` and, last, `set.json`.

    Args:
        to: folder of the set.
        options: what was imported.
        chosen: the row of each image, by name.
        kept: the images that were written.
        left_out: those that were not imported.
        compared_with: what was searched for duplicates, in words.
        knows: words of the diagnoses that an image could have been given; None if not told.

    Raises:
        StorageError: the disk is full or not writable.
    """
    groups = group_names([each.row for each in chosen.values()], kept.same)
    # A table that states sizes does so because the files have others.
    stated = any(_stated_size(each.row) for each in chosen.values())
    rows = [
        {
            **_record(chosen[image.name], image, stated),
            "lesion_id": group_id(options.name, groups[image.name]),
        }
        for image in kept.images
    ]
    records = pd.DataFrame(rows, columns=list(COLUMNS))
    licenses = [chosen[image.name].license for image in kept.images]
    attributions = [row for row in records["attribution"] if row]
    identity = records[["image_id", "dx", "lesion_id", "sha256"]]
    summary = SetSummary(
        name=options.name,
        decoder=DECODER,
        images=len(records),
        groups=records["lesion_id"].nunique(),
        classes=dict(sorted(Counter(records["dx"]).items())),
        knows=_codes(knows or (), records["dx"]),
        kept_out_share=options.kept_out_share,
        license=str(strictest(licenses)),
        licenses=dict(sorted(Counter(map(str, licenses)).items())),
        attributions=dict(sorted(Counter(attributions).items())),
        left_out=left_out.counts(),
        compared_with=tuple(compared_with),
        digest=digest_of(" ".join(row) for row in identity.itertuples(index=False)),
    )
    missing = [(name, why) for why, names in left_out.names.items() for name in names]
    reasons = pd.DataFrame(sorted(missing), columns=["image_id", "reason"])
    text = json.dumps(summary.model_dump(mode="json"), indent=2) + "\n"
    write_whole(to / RECORDS, records.to_csv(index=False).encode())
    write_whole(to / LEFT_OUT, reasons.to_csv(index=False).encode())
    write_whole(to / SUMMARY, text.encode())
    return summary


def _codes(words: Collection[str], present: Iterable[str]) -> tuple[str, ...]:
    """Return the codes that words stand for, and those that images have, in label order."""
    table = diagnosis_table()
    meanings = [meaning_of([word], table) for word in words]
    found = {meaning.code for meaning in meanings if meaning} | set(present)
    return tuple(code for code in CODES if code in found)


def _record(usable: UsableRow, image: WrittenImage, stated: bool) -> dict[str, object]:
    row = usable.row
    width, height = _stated_size(row) or ((0, 0) if stated else (image.width, image.height))
    return {
        "image_id": image.name,
        "dx": usable.code,
        "age": _number(row.age),
        "sex": row.sex,
        "localization": row.site,
        "dx_type": row.confirmation,
        "patient_id": row.patient,
        "license": str(usable.license),
        "attribution": row.attribution,
        "width": width,
        "height": height,
        "sha256": image.sha256,
    }


def _stated_size(row: MetadataRow) -> tuple[int, int] | None:
    if not (row.width.isdecimal() and row.height.isdecimal()):
        return None
    width, height = int(row.width), int(row.height)
    return (width, height) if width and height else None


def _number(text: str) -> str:
    try:
        return f"{float(text):g}"
    except ValueError:
        return ""
