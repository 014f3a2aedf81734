"""Which rows of a collection's metadata can be used, and why the others cannot.

Nothing is guessed: an image whose rows contradict each other is left out, and so is every image of
a lesion with two diagnoses.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lentigo_trainer.data.extra.diagnoses import DiagnosisTable, Meaning, meaning_of
from lentigo_trainer.data.extra.licenses import License, parse_license
from lentigo_trainer.data.extra.metadata import MetadataRow
from lentigo_trainer.data.ham10000 import join_names
from lentigo_trainer.errors import LicenseError

_DERMATOSCOPIC: Final = ("dermoscopic", "dermatoscopic")

NO_IMAGE: Final = "listed in the metadata, but there is no such image"
NO_METADATA: Final = "not listed in the metadata"
TWO_LABELS: Final = "listed with two labels"
TWO_DIAGNOSES: Final = "of a lesion with two diagnoses"
_UNKNOWN: Final = "unknown diagnosis"
NO_DERIVATIVES: Final = "under a licence that forbids derivatives"


@dataclass(slots=True)
class LeftOut:
    """Images that are not imported.

    Attributes:
        names: of the images, by the reason.
        notes: on some reasons, what can be done.
    """

    names: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, name: str, note: str = "") -> None:
        """Leave an image out."""
        self.names.setdefault(reason, []).append(name)
        if note:
            self.notes[reason] = note

    def counts(self) -> dict[str, int]:
        """Return how many images each reason leaves out."""
        return {reason: len(names) for reason, names in sorted(self.names.items())}

    def lines(self) -> list[str]:
        """Return one line for each reason."""
        return [
            f"Left out, {reason}: {len(names):,} ({join_names(sorted(names))})."
            f"{' ' + self.notes[reason] if reason in self.notes else ''}"
            for reason, names in sorted(self.names.items())
        ]


@dataclass(frozen=True, slots=True)
class UsableRow:
    """A row that can be used.

    Attributes:
        row: as the table has it.
        code: of its diagnosis.
        license: of the image.
    """

    row: MetadataRow
    code: str
    license: License


def usable_rows(
    rows: Iterable[MetadataRow],
    table: DiagnosisTable,
    default_license: License | None,
    left_out: LeftOut,
) -> list[UsableRow]:
    """Choose the rows that name one of the seven diagnoses without contradiction.

    Args:
        rows: of all tables.
        table: what each diagnosis means.
        default_license: of images whose row states none.
        left_out: receives the others.

    Returns:
        One row an image, in the order of their names.

    Raises:
        LicenseError: rows state no licence, and there is no default.
    """
    by_image: dict[str, list[MetadataRow]] = defaultdict(list)
    for row in rows:
        by_image[row.image].append(row)
    meanings = {name: [_meaning(row, table) for row in same] for name, same in by_image.items()}
    torn = _lesions_with_two_diagnoses(by_image, meanings)
    usable = []
    for name, same in sorted(by_image.items()):
        row, meaning = same[0], meanings[name][0]
        if len(set(meanings[name])) > 1:
            left_out.add(TWO_LABELS, name)
        elif row.lesion in torn:
            left_out.add(TWO_DIAGNOSES, name, "Correct the metadata to import them.")
        elif meaning.code is None:
            left_out.add(meaning.why, name, _note_on(meaning.why))
        elif row.kind and not row.kind.lower().startswith(_DERMATOSCOPIC):
            left_out.add(f"not dermatoscopic ({row.kind})", name)
        else:
            chosen = _license_of(row, default_license)
            if chosen is None:
                left_out.add(f"under an unknown licence ({row.license})", name)
            elif chosen.forbids_derivatives:
                left_out.add(NO_DERIVATIVES, name, "A network trained on them would be one.")
            else:
                usable.append(UsableRow(row, meaning.code, chosen))
    return usable


def _unknown(row: MetadataRow) -> str:
    word = next((word for word in row.words if word), "")
    return f"{_UNKNOWN} ({word})" if word else "without a diagnosis"


def _note_on(why: str) -> str:
    return "The reviewed table of diagnoses does not list it." if why.startswith(_UNKNOWN) else ""


def _meaning(row: MetadataRow, table: DiagnosisTable) -> Meaning:
    found = meaning_of(row.words, table)
    if found is None:
        return Meaning(None, _unknown(row))
    if found.code is None:
        word = next(word for word in row.words if meaning_of([word], table) == found)
        return Meaning(None, f"{word}: {found.why}")
    return found


def _lesions_with_two_diagnoses(
    by_image: Mapping[str, Sequence[MetadataRow]], meanings: Mapping[str, Sequence[Meaning]]
) -> set[str]:
    """Return the lesions whose images mean different things, apart from images without a word."""
    found: dict[str, set[Meaning]] = defaultdict(set)
    for name, same in by_image.items():
        for row, meaning in zip(same, meanings[name], strict=True):
            if row.lesion and any(row.words):
                found[row.lesion].add(meaning)
    return {lesion for lesion, known in found.items() if len(known) > 1}


def _license_of(row: MetadataRow, default: License | None) -> License | None:
    if row.license:
        return parse_license(row.license)
    if default is None:
        raise LicenseError(
            f"The metadata states no licence for {row.image}. Say with --license under which the "
            'images may be used, such as --license "CC BY-NC 4.0".'
        )
    return default
