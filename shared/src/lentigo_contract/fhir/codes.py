"""Lentigo's own codes, and the map from its diagnoses to codes of other systems."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic import model_validator as validator

from lentigo_contract.errors import CodeMapError
from lentigo_contract.labels import CODES, DIAGNOSES
from lentigo_contract.system.files import read_start

CANONICAL: Final = "urn:lentigo:fhir"
"""What the canonical URLs of our profiles and code systems begin with."""

DIAGNOSES_SYSTEM: Final = f"{CANONICAL}:CodeSystem:diagnosis"
TERMS_SYSTEM: Final = f"{CANONICAL}:CodeSystem:term"
SNOMED_CT: Final = "http://snomed.info/sct"
ICD_10: Final = "http://hl7.org/fhir/sid/icd-10"

OTHER: Final = "other"
"""A confirmed diagnosis that is none of the seven."""

DIAGNOSIS_NAMES: Final[dict[str, str]] = {
    **{each.code: each.name for each in DIAGNOSES},
    OTHER: "None of the seven",
}

TERMS: Final[dict[str, str]] = {
    "report": "Dermatoscopic image assessed by a neural network",
    "lesion-classification": "Probabilities of seven diagnoses of a skin lesion",
    "image-quality": "Whether a dermatoscopic image can be judged",
    "unlikeness": "Distance of an image from the training images",
    "malignancy": "Malignant skin lesion",
    "refer": "Refer to a physician",
    "no-referral": "The model gives no reason to refer",
    "no-diagnosis": "No diagnosis: the image cannot be judged",
    "confirmed-diagnosis": "Confirmed diagnosis of a skin lesion",
    "too-small": "The image is too small",
    "too-dark": "The image is too dark",
    "too-bright": "The image is too bright",
    "blank": "The image is blank",
    "blurred": "The image is blurred",
    "unlike-training-images": "The image is unlike the training images",
    "unusable": "The image cannot be judged",
    "unconfident": "The diagnosis is not confident",
}
"""What else is said, by its code. A code never changes its meaning."""

Coding = dict[str, Any]
Relation = Literal["equivalent", "wider", "narrower"]

_RESOURCE: Final = "code_map.toml"
_MAX_BYTES: Final = 256 * 2**10
_ICD_10_CODE: Final = r"^[A-Z][0-9]{2}(\.[0-9]{1,2})?$"
_ADVICE: Final = "docs/fhir/index.md says what a map of codes has."

# Verhoeff, "Error detecting decimal codes" (Mathematical Centre Tracts 29, 1969): the group D5 of
# ten elements, and the permutation of each place. SNOMED CT, Technical Implementation Guide, 6.2.
_PRODUCT: Final = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_PERMUTATION: Final = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def has_check_digit(identifier: str) -> bool:
    """Return whether an identifier of SNOMED CT ends with its check digit, by Verhoeff."""
    if not (identifier.isascii() and identifier.isdecimal()):
        return False
    state = 0
    for place, digit in enumerate(reversed(identifier)):
        state = int(_PRODUCT[state][int(_PERMUTATION[place % 8][int(digit)])])
    return state == 0


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]


class MappedCode(BaseModel):
    """A code of another system for one of the seven diagnoses.

    Attributes:
        diagnosis: code of HAM10000.
        system: URI of the other system.
        code: its code.
        display: what it calls it.
        relation: whether the code means the same, more, or a part of the diagnosis alone.
        sources: where it was found.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    diagnosis: str
    system: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*:\S{1,200}$")]
    code: Annotated[str, StringConstraints(pattern=r"^\S{1,64}$")]
    display: Text
    relation: Relation
    sources: list[Text] = Field(min_length=1)

    @validator(mode="after")
    def _valid(self) -> Self:
        if self.diagnosis not in CODES:
            raise ValueError(f"the diagnosis is none of {', '.join(CODES)}")
        if self.system.startswith(CANONICAL):
            raise ValueError("Lentigo's own codes stand beside those of a map by themselves")
        if self.system == SNOMED_CT and not has_check_digit(self.code):
            raise ValueError(f"{self.code} is no SNOMED CT code: its check digit is wrong")
        if self.system == ICD_10 and not _matches_icd_10(self.code):
            raise ValueError(f"{self.code} is no ICD-10 code, such as C43.9")
        return self


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    schema_: Literal[1] = Field(alias="schema")
    codes: list[MappedCode]

    @validator(mode="after")
    def _one_of_each_system(self) -> Self:
        seen = set()
        for each in self.codes:
            about = (each.diagnosis, each.system)
            if each.relation != "narrower" and about in seen:
                raise ValueError(f"{each.diagnosis} has two codes of {each.system}; one can stand")
            if each.relation != "narrower":
                seen.add(about)
        return self


@dataclass(frozen=True, slots=True)
class CodeMap:
    """Codes of other systems for the diagnoses, in the order in which they are given."""

    codes: tuple[MappedCode, ...] = ()

    def codings(self, diagnosis: str) -> list[Coding]:
        """Return the codings of a diagnosis: our own, and those that mean the same or more."""
        own = {
            "system": DIAGNOSES_SYSTEM,
            "code": diagnosis,
            "display": DIAGNOSIS_NAMES[diagnosis],
        }
        return [own, *_codings(each for each in self.codes if each.diagnosis == diagnosis)]


def _codings(codes: Iterable[MappedCode]) -> list[Coding]:
    return [
        {"system": each.system, "code": each.code, "display": each.display}
        for each in codes
        if each.relation != "narrower"
    ]


def term(code: str) -> dict[str, Any]:
    """Return one of `TERMS` as a CodeableConcept; a code that is not among them as text alone."""
    if code not in TERMS:
        return {"text": code}
    display = TERMS[code]
    return {
        "coding": [{"system": TERMS_SYSTEM, "code": code, "display": display}],
        "text": display,
    }


def shipped_code_map() -> CodeMap:
    """Return the map that comes with Lentigo."""
    content = resources.files("lentigo_contract.fhir").joinpath(_RESOURCE).read_bytes()
    return _parsed(content, _RESOURCE)


def code_map(path: Path | None) -> CodeMap:
    """Return the map in a file, as `read_code_map` does; without one, the map of Lentigo."""
    return shipped_code_map() if path is None else read_code_map(path)


def read_code_map(path: Path) -> CodeMap:
    """Read a hospital's own map, which takes the place of the one that comes with Lentigo.

    Raises:
        CodeMapError: unreadable, not TOML, an unknown diagnosis, or a code that cannot be one.
    """
    try:
        content = read_start(path, _MAX_BYTES + 1)
    except OSError as error:
        raise CodeMapError(
            f"The map of codes in {path} cannot be read ({error.strerror or error}). Let this "
            "user read it."
        ) from error
    if content is None:
        raise CodeMapError(f"{path} is not a file. Name a TOML file. {_ADVICE}")
    if len(content) > _MAX_BYTES:
        raise CodeMapError(
            f"{path} has more than {_MAX_BYTES:,} bytes: it is no map of codes. {_ADVICE}"
        )
    return _parsed(content, str(path))


def _parsed(content: bytes, name: str) -> CodeMap:
    try:
        return CodeMap(tuple(_File.model_validate(tomllib.loads(content.decode())).codes))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        why = str(first["msg"]).removeprefix("Value error, ")
        raise CodeMapError(
            f"The map of codes in {name} cannot be used ({f'{place}: ' if place else ''}{why}). "
            f"{_ADVICE}"
        ) from error
    except (ValueError, RecursionError) as error:
        why = str(error).splitlines()[0]
        raise CodeMapError(f"The map of codes in {name} is not TOML ({why}). {_ADVICE}") from error


def _matches_icd_10(code: str) -> bool:
    return re.fullmatch(_ICD_10_CODE, code) is not None
