"""The tables that collections come with, read into one form.

    today's ISIC Archive    isic_id, diagnosis_1 to diagnosis_5 (or diagnosis), lesion_id,
                            patient_id, copyright_license, attribution, image_type (`isic-cli`)
    ISIC 2018 and 2019      image, and a column for each diagnosis (MEL, NV, BCC, AK or AKIEC, BKL,
                            DF, VASC, SCC, UNK) of which one is 1
    beside it               image, lesion_id, age_approx, sex, anatom_site_general
    HAM10000 and its kin    image_id, dx, and any of lesion_id, group, width, height, dx_type, ...
    plain                   image, label, and any of lesion, patient, license

Nothing is judged here: a row keeps the words of its table.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lentigo_contract.labels import CODES
from lentigo_trainer.data.dataset import UNREADABLE
from lentigo_trainer.data.extra.archives import TableFile
from lentigo_trainer.errors import MetadataError

_LEVELS: Final = tuple(f"diagnosis_{level}" for level in (5, 4, 3, 2, 1))
"""The ISIC Archive's hierarchy, the most specific level first."""

_CHALLENGE: Final = ("MEL", "NV", "BCC", "AK", "AKIEC", "BKL", "DF", "VASC", "SCC", "UNK")
"""Columns of the ground truth of ISIC 2018 Task 3 and ISIC 2019."""

_FORMS: Final = (
    "isic_id with diagnosis_1 to diagnosis_5, image with one column for each diagnosis (MEL, NV, "
    "...), image_id with dx, or image with label"
)

# What a table may call it -> what we call it.
_NAMES: Final = {
    "lesion": ("lesion_id", "lesion"),
    "patient": ("patient_id", "patient"),
    "group": ("group",),
    "license": ("copyright_license", "license"),
    "attribution": ("attribution",),
    "kind": ("image_type",),
    "width": ("width",),
    "height": ("height",),
    "age": ("age_approx", "age"),
    "sex": ("sex",),
    "site": ("anatom_site_general", "localization", "site"),
    "confirmation": ("diagnosis_confirm_type", "dx_type"),
}


Read = tuple[str, tuple[str, ...]]
"""Name of the image, and the words of its diagnosis."""


@dataclass(frozen=True, slots=True)
class MetadataRow:
    """What a table says of one image; an empty text where it says nothing.

    Attributes:
        image: its name without suffix.
        words: of the diagnosis, the most specific first.
        lesion: the lesion it shows.
        patient: whose lesion it is.
        group: images that belong together, by the table's own word.
        license: of the image.
        attribution: whom to credit.
        kind: such as "dermoscopic" or "clinical: overview".
        width: of the original, in pixels.
        height: of the original, in pixels.
        age: in years.
        sex: of the patient.
        site: on the body.
        confirmation: how the diagnosis was made.
    """

    image: str
    words: tuple[str, ...]
    lesion: str = ""
    patient: str = ""
    group: str = ""
    license: str = ""
    attribution: str = ""
    kind: str = ""
    width: str = ""
    height: str = ""
    age: str = ""
    sex: str = ""
    site: str = ""
    confirmation: str = ""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What tables say together.

    Attributes:
        rows: one or more for each image.
        knows: the words of all diagnoses that an image could have been given; None where the tables
            do not tell. The ISIC Archive's hierarchy has a word for every diagnosis.
    """

    rows: tuple[MetadataRow, ...]
    knows: frozenset[str] | None


def read_metadata_tables(tables: Iterable[TableFile]) -> Metadata:
    """Read tables of any of these forms; a table without diagnoses completes the others' rows.

    Raises:
        MetadataError: a table cannot be read, or none has diagnoses.
    """
    rows: list[MetadataRow] = []
    beside: dict[str, MetadataRow] = {}
    unknown: list[str] = []
    spaces: list[frozenset[str] | None] = []
    for table in tables:
        header, values = _read(table)
        read = _reader_of(header)
        if read is not None:
            rows += [_row(each, *read(each)) for each in values]
            spaces.append(_label_space(read, header))
        elif "image" in header:
            beside |= {each["image"]: _row(each, each["image"], ()) for each in values}
        else:
            unknown.append(table.name)
    if not rows:
        found = f" ({', '.join(unknown[:3])} has none of these forms)" if unknown else ""
        raise MetadataError(
            f"There is no table of diagnoses{found}. Give --metadata a CSV with {_FORMS}."
        )
    # An image may come from any of the tables, so the set knows what all of them know.
    told = [space for space in spaces if space is not None]
    return Metadata(
        rows=tuple(_completed(row, beside.get(row.image)) for row in rows),
        knows=frozenset.intersection(*told) if len(told) == len(spaces) else None,
    )


def _label_space(
    read: Callable[[Mapping[str, str]], Read], header: Sequence[str]
) -> frozenset[str] | None:
    if read is _archive:
        return frozenset(CODES)
    return frozenset(header) & frozenset(_CHALLENGE) if read is _challenge else None


def _read(table: TableFile) -> tuple[Sequence[str], list[dict[str, str]]]:
    try:
        text = table.read().decode("utf-8-sig")
        lines = csv.DictReader(io.StringIO(text, newline=""))
        header = [name.strip() for name in lines.fieldnames or ()]
        lines.fieldnames = header
        rows = [
            {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)}
            for row in lines
        ]
    except (ValueError, csv.Error, *UNREADABLE) as error:
        raise MetadataError(f"{table.name} cannot be read as a CSV: {error}.") from error
    if len(set(header)) < len(header):
        raise MetadataError(f"{table.name} has a column twice: {', '.join(header)}.")
    return header, rows


def _archive(row: Mapping[str, str]) -> Read:
    words = [row.get(level, "") for level in _LEVELS]
    # Older downloads have one word. It is exact where the hierarchy has nothing.
    return row["isic_id"], (*(word for word in words if word), row.get("diagnosis", ""))


def _challenge(row: Mapping[str, str]) -> Read:
    marked = tuple(name for name in _CHALLENGE if _is_one(row.get(name, "")))
    # No mark says nothing, and two contradict each other.
    return row["image"], marked if len(marked) == 1 else ()


def _kin(row: Mapping[str, str]) -> Read:
    return row["image_id"], (row["dx"],)


def _plain(row: Mapping[str, str]) -> Read:
    return row["image"], (row["label"],)


def _reader_of(header: Sequence[str]) -> Callable[[Mapping[str, str]], Read] | None:
    columns = set(header)
    if "isic_id" in columns and columns & {*_LEVELS, "diagnosis"}:
        return _archive
    if {"image_id", "dx"} <= columns:
        return _kin
    if {"image", "label"} <= columns:
        return _plain
    if "image" in columns and len(columns & set(_CHALLENGE)) > 1:
        return _challenge
    return None


def _row(values: Mapping[str, str], image: str, words: tuple[str, ...]) -> MetadataRow:
    found = {
        ours: next((values[name] for name in theirs if values.get(name)), "")
        for ours, theirs in _NAMES.items()
    }
    return MetadataRow(image=_without_suffix(image), words=words, **found)


def _without_suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and suffix.lower() in {"jpg", "jpeg", "png", "webp", "bmp", "tif"} else name


def _is_one(cell: str) -> bool:
    try:
        return float(cell) == 1.0
    except ValueError:
        return False


def _completed(row: MetadataRow, beside: MetadataRow | None) -> MetadataRow:
    if beside is None:
        return row
    empty = [name for name in _NAMES if not getattr(row, name)]
    return replace(row, **{name: getattr(beside, name) for name in empty})
