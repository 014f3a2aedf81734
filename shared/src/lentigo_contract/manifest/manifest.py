"""What a published version says of itself: `manifest.json`.

The trainer fills it in, `store.ModelStore.publish` adds the number and the check sums, and a reader
refuses a version whose manifest it does not understand. Version 1 of the schema; a change that an
older reader would misread takes the next number.
"""

import json
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from lentigo_contract.errors import DamagedVersionError, IncompatibleVersionError
from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.compression import CompressedNetwork
from lentigo_contract.manifest.dataset import (
    DatasetRecord,
    ExtraDatasetRecord,
    PlanRecord,
    SplitRecord,
)
from lentigo_contract.manifest.engines import EngineAgreement, EngineName, Golden
from lentigo_contract.manifest.fields import (
    MAX_ENTRIES,
    Count,
    Fraction,
    JsonObject,
    Name,
    Record,
    RelativePath,
    Seed,
    Sha256,
    Text,
    UtcDatetime,
)
from lentigo_contract.manifest.input_reference import InputReference
from lentigo_contract.manifest.probabilities import Calibration, MalignancyCalibration, Prevalence
from lentigo_contract.system.files import open_plain

SCHEMA_VERSION: Final = 2
"""What new manifests are written in. 2 added the prevalence and whatever else 1 has no fields for;
a reader of 1 tells such a version from a damaged one, and asks to be updated."""

_KNOWN_SCHEMAS: Final = (1, SCHEMA_VERSION)

# Ours has some twenty kilobytes. A writer to the volume must not be able to fill our memory.
# Parsed, it takes up to sixty times as much.
MAX_MANIFEST_BYTES: Final = 2**20

# A cell of the activation map covers at least one pixel.
_MAX_CELLS: Final = MODEL_SIDE

# Other versions of this code may have others.
_MAX_LABELS: Final = 100

# How much of a manifest's own words a message repeats.
_QUOTED: Final = 200


class Parameters(Record):
    """Number of weights of the network: all, those that learned, those that were frozen."""

    total: Count
    trainable: Count
    frozen: Count

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.trainable + self.frozen != self.total:
            raise ValueError("trainable and frozen do not add up to total")
        return self


class InputGeometry(Record):
    """What `serving_default` takes; what `images.read_image` gives."""

    height: Count = MODEL_SIDE
    width: Count = MODEL_SIDE
    channels: Count = 3
    dtype: Name = "uint8"
    color: Name = "RGB"
    resize: Name = "bilinear-squash"


class MapGeometry(Record):
    """Cells of the activation map, down and across."""

    height: int = Field(gt=0, le=_MAX_CELLS)
    width: int = Field(gt=0, le=_MAX_CELLS)


class Thresholds(Record):
    """What the answer's probabilities are held against, and how each threshold was chosen.

    Attributes:
        malignancy: probability of malignancy from which a lesion is referred; with a
            `malignancy_calibration`, on the calibrated one.
        abstention: probability of the most probable diagnosis below which the diagnosis is not
            relied on and the lesion is referred, however the diagnosis is decided; None in versions
            that have no such threshold.
    """

    malignancy: Fraction
    source: Text
    abstention: Fraction | None = None
    abstention_source: Text = ""


class OodThreshold(Record):
    """How far from the training images an image may be, and how that was chosen.

    The network has a third output, `unlikeness`, float32 [n], 0 and above; see `method`.

    Attributes:
        limit: an image above it gets no diagnosis.
        method: what the output is, in a sentence.
        source: how the limit was chosen, and what it does.
    """

    limit: Annotated[float, Field(gt=0)]
    method: Text
    source: Text


class FileRecord(Record):
    """Check sum and size, in bytes, of one file of the version."""

    sha256: Sha256
    bytes: Count


class Manifest(Record):
    """A published version, described.

    Attributes:
        version: number in the repository; 0 until `publish` gives one.
        created: when training ended, UTC.
        labels: diagnosis codes in the order of the output's columns.
        prevalence: at which the probabilities hold; None in versions that declare none, whose
            diagnosis is the most probable one.
        malignancy_calibration: None where P(malignant) is the sum over the malignant diagnoses.
        unlikeness: None in versions whose network does not tell.
        compression: how the network was made smaller; None for a network as its recipe made it.
        extra_datasets: what it learned from besides `dataset`; None in versions that did not.
        input_reference: how the images look that it was measured on; None in versions up to 3.
        metrics: the figures of `lentigo-train evaluate`, null where one is undefined.
        out_of_fold: the figures of the sister networks for the images that each never saw; None
            for a recipe without folds.
        recipe: the training recipe, as read.
        limit: about how many images a quick run used in all; None for a version that learned from
            all of them, and in versions of older releases.
        agreement: for each further engine, how far it agrees with the SavedModel.
        golden: each engine's predictions for images that a reader can draw again.
        forced: why publishing would have been refused, had it not been forced; None for a version
            against which nothing was found, and in versions of older releases.
        files: every other file of the version, by relative POSIX path; set by `publish`.
    """

    schema_version: Literal[1, 2] = SCHEMA_VERSION
    name: Name = "lentigo"
    version: Count = 0
    created: UtcDatetime
    architecture: Name
    parameters: Parameters
    labels: Annotated[tuple[Name, ...], Field(strict=False, max_length=_MAX_LABELS)] = CODES
    input: InputGeometry = InputGeometry()
    activation_map: MapGeometry
    calibration: Calibration
    prevalence: Prevalence | None = None
    malignancy_calibration: MalignancyCalibration | None = None
    thresholds: Thresholds
    unlikeness: OodThreshold | None = None
    input_reference: InputReference | None = None
    metrics: JsonObject
    out_of_fold: JsonObject | None = None
    compression: CompressedNetwork | None = None
    dataset: DatasetRecord
    extra_datasets: Annotated[tuple[ExtraDatasetRecord, ...] | None, Field(strict=False)] = None
    split: SplitRecord
    plan: PlanRecord
    recipe: JsonObject
    seed: Seed
    limit: Count | None = None
    code_version: Name
    license: Text = "CC BY-NC 4.0"
    agreement: dict[EngineName, EngineAgreement] | None = None
    golden: Golden | None = None
    forced: Text | None = None
    files: dict[RelativePath, FileRecord] = Field(default_factory=dict, max_length=MAX_ENTRIES)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a manifest file, at most `MAX_MANIFEST_BYTES` of it.

        Raises:
            DamagedVersionError: missing, unreadable, too large or not a manifest.
            IncompatibleVersionError: a newer schema, or other labels or input than this code's.
        """
        return cls.from_json(read_manifest_bytes(path), where=str(path))

    @classmethod
    def from_json(cls, text: bytes, *, where: str = "The manifest") -> Self:
        """Parse and check a manifest; `where` names it in messages. Raises as `read` does."""
        _require_known_schema(text, where)
        try:
            manifest = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part)[:_QUOTED] for part in first["loc"])[:_QUOTED] or "the whole"
            raise DamagedVersionError(
                f"{where} is not a valid manifest ({place}: {first['msg']}). "
                "Remove the version or publish it again."
            ) from error
        manifest.require_compatible(where)
        return manifest

    def require_compatible(self, where: str = "The manifest") -> None:
        """Check that labels and input are those this code was written for.

        Raises:
            IncompatibleVersionError: they are not.
        """
        if self.labels != CODES:
            raise IncompatibleVersionError(
                f"{where} lists the labels {', '.join(self.labels)[:_QUOTED]}; this code expects "
                f"{', '.join(CODES)}, in this order. Train and publish with this release of "
                "Lentigo, or run the release that published it."
            )
        if self.input != InputGeometry():
            raise IncompatibleVersionError(
                f"{where} wants the input {self.input.model_dump()}; this code gives "
                f"{InputGeometry().model_dump()}. Train and publish with this release of "
                "Lentigo, or run the release that published it."
            )

    def to_json(self) -> str:
        """Return the text of `manifest.json`, ending in a line feed."""
        return self.model_dump_json(indent=2) + "\n"


def read_manifest_bytes(path: Path) -> bytes:
    """Read the bytes of a manifest file, for `Manifest.from_json`.

    Raises:
        DamagedVersionError: missing, unreadable, or of more than `MAX_MANIFEST_BYTES`.
    """
    try:
        with open_plain(path) as file:
            text = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise DamagedVersionError(
            f"{path} cannot be read ({error.strerror or error}). "
            "Publish the version again, or let this user read it."
        ) from error
    if len(text) > MAX_MANIFEST_BYTES:
        raise DamagedVersionError(
            f"{path} has more than {MAX_MANIFEST_BYTES:,} bytes: it is not a Lentigo manifest. "
            "Remove the version or publish it again."
        )
    return text


def _require_known_schema(text: bytes, where: str) -> None:
    """Recognise a newer schema before its unknown fields look like damage."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedVersionError(
            f"{where} is not JSON. Remove the version or publish it again."
        ) from error
    schema = document.get("schema_version") if isinstance(document, dict) else None
    if type(schema) is int and schema not in _KNOWN_SCHEMAS:
        raise IncompatibleVersionError(
            f"{where} has schema version {schema}; this code reads up to {SCHEMA_VERSION}. "
            "Update Lentigo here, or publish the model again with this release."
        )
