"""Everything that was measured on one set of images, as a value that can be written and read.

Which version answered, and how it was asked.

The answer about every image, kept beside the figures: what two versions are compared by.

An answer is the image's name, so whoever shares figures of patients' images shares it only when
asked to.

A scorecard as a file: written with or without the answers, and read back with care.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from lentigo_contract.labels import CODES, RESEARCH_NOTICE, index_of
from lentigo_contract.manifest.manifest import Manifest
from lentigo_trainer.errors import EvaluationReportError, MetricError
from lentigo_trainer.evaluation.calibration_report import CalibrationReport, calibration_report
from lentigo_trainer.evaluation.image_sets import ImageSet
from lentigo_trainer.evaluation.per_diagnosis import (
    DiagnosisMetrics,
    diagnosis_metrics,
    melanoma_specificities,
)
from lentigo_trainer.evaluation.referral import (
    Referral,
    Refused,
    RiskCoverage,
    referral,
    refused_share,
    risk_coverage,
)
from lentigo_trainer.evaluation.subgroups import Subgroups, subgroups
from lentigo_trainer.evaluation.summary import Evaluation, evaluate
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray, validate_predictions
from lentigo_trainer.metrics.bootstrap import RESAMPLES, Estimate, Resampling
from lentigo_trainer.system.storage import write_whole


class EvaluatedModel(BaseModel):
    """What was measured.

    Attributes:
        name: of the model.
        version: its number.
        architecture: of the network.
        created: when training ended, UTC.
        asked: "in process", or the address of the service.
        engine: the runtime that computed.
        recipe: the name of the recipe that trained it; None where it has none or is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int
    architecture: str
    created: str
    asked: str
    engine: str
    recipe: str | None = None

    @property
    def named(self) -> str:
        """Name and number, and the recipe if it has a name."""
        recipe = "" if self.recipe is None else f" (recipe {self.recipe})"
        return f"{self.name} {self.version}{recipe}"


def evaluated_model(manifest: Manifest, version: int) -> EvaluatedModel:
    """Describe a version that is asked in process; its number is 0 before it is published."""
    recipe = manifest.recipe.get("name")
    return EvaluatedModel(
        name=manifest.name,
        version=version,
        architecture=manifest.architecture,
        created=manifest.created.isoformat(),
        asked="in process",
        engine="savedmodel",
        recipe=None if recipe is None else str(recipe),
    )


class ImagePrediction(BaseModel):
    """One image.

    Attributes:
        image: its name, without suffix.
        lesion: what it shows; None if not known.
        truth: the code of its diagnosis.
        probabilities: of the seven, in label order, six digits each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    image: str
    lesion: str | None
    truth: str
    probabilities: tuple[float, ...]

    @model_validator(mode="after")
    def _is_an_answer(self) -> Self:
        if self.truth not in CODES or len(self.probabilities) != len(CODES):
            raise ValueError(f"{self.image} has no known diagnosis or not {len(CODES)} numbers")
        return self


def image_predictions(images: ImageSet, probabilities: FloatArray) -> tuple[ImagePrediction, ...]:
    """Give the answers [n, 7] about the images, in order of their names."""
    lesions: Sequence[str | None] = [None] * len(images.names)
    if images.people is not None:
        lesions = images.people["lesion_id"].tolist()
    rows = zip(images.names, lesions, images.truth, probabilities, strict=True)
    return tuple(
        ImagePrediction(
            image=name,
            lesion=lesion,
            truth=CODES[label],
            probabilities=tuple(float(f"{value:.6g}") for value in row),
        )
        for name, lesion, label, row in sorted(rows, key=lambda each: each[0])
    )


def truth_of(answers: Sequence[ImagePrediction]) -> LabelArray:
    """Class numbers, int64 [n]."""
    return np.array([index_of(each.truth) for each in answers], np.int64)


def probabilities_of(answers: Sequence[ImagePrediction]) -> FloatArray:
    """Probabilities, float64 [n, 7]."""
    return np.array([each.probabilities for each in answers])


def groups_of(answers: Sequence[ImagePrediction]) -> NDArray[Any]:
    """What a bootstrap draws whole, [n]: the lesion, or the image where that is not known."""
    return np.array([each.lesion or each.image for each in answers])


SCHEMA_VERSION: Final = 1

_SUBGROUPS_UNKNOWN: Final = "HAM10000's metadata of these images is not known; see --metadata"


class EvaluationReport(BaseModel):
    """The figures of one version on one set of images.

    In JSON the figures of `Evaluation` stand beside the others, under the names that the manifest
    has them under; `lesions` is null where they are not known.

    Attributes:
        images: what it was measured on, in words.
        image_set: see `ImageSet.digest`; the same for the same images with the same truth.
        unlisted: further images that lay there without a truth.
        refused: share of the images that get a diagnosis only when it is asked for all the same:
            unlike what the version learnt from, or, by a service, unusable too; None for a version
            that refuses nothing. All other figures speak of these images as well.
        intervals_over: what the bootstrap drew: whole lesions, or images where lesions are unknown.
        overlap: how it was checked that none of them trained the version, or why it was not.
        evaluation: see there.
        diagnoses: each of the seven against the rest, by code.
        melanoma_specificity: at a sensitivity of "0.90" and "0.95".
        calibration: before and after.
        risk_coverage: how often the surest answers are wrong.
        referral: what its thresholds do; None where they are not known.
        subgroups: by sex, age, site and confirmation; None where those are not known.
        subgroups_reason: why there are none.
        answers: about every image; None where they were not kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = SCHEMA_VERSION
    notice: str = RESEARCH_NOTICE
    subject: EvaluatedModel
    images: str
    image_set: str
    unlisted: int
    refused: Estimate | None
    intervals_over: Literal["lesions", "images"]
    overlap: str
    evaluation: Evaluation
    diagnoses: dict[str, DiagnosisMetrics]
    melanoma_specificity: dict[str, Estimate]
    calibration: CalibrationReport
    risk_coverage: RiskCoverage
    referral: Referral | None = None
    subgroups: Subgroups | None
    subgroups_reason: str | None = None
    answers: tuple[ImagePrediction, ...] | None = None

    def without_answers(self) -> "EvaluationReport":
        """Give the figures alone."""
        return self.model_copy(update={"answers": None})

    def to_json(self) -> dict[str, JsonValue]:
        """Give everything as plain values, fit for `json.dumps`."""
        left_out = {"evaluation"} if self.answers else {"evaluation", "answers"}
        values: dict[str, JsonValue] = self.model_dump(mode="json", exclude=left_out)
        figures = self.evaluation.to_json()
        if self.intervals_over == "images":
            figures["lesions"] = None
        return values | figures

    @classmethod
    def from_json(cls, values: Mapping[str, JsonValue]) -> "EvaluationReport":
        """Read back what `to_json` gave.

        Raises:
            MetricError: the values are not such a scorecard.
        """
        figures = {name: values[name] for name in Evaluation.model_fields if name in values}
        rest = {name: value for name, value in values.items() if name not in figures}
        if figures.get("lesions") is None:
            figures["lesions"] = values.get("examples")
        try:
            return cls.model_validate({**rest, "evaluation": figures})
        except ValueError as error:
            raise MetricError(f"These are not the metrics of an evaluation: {error}") from error


def score(  # noqa: PLR0913, PLR0917 - what is known of the answers, and how to resample
    subject: EvaluatedModel,
    images: ImageSet,
    overlap: str,
    probabilities: FloatArray,
    manifest: Manifest | None,
    seed: int,
    refused: Refused | None = None,
    resamples: int = RESAMPLES,
    evaluation: Evaluation | None = None,
) -> EvaluationReport:
    """Measure everything, with 95 % intervals.

    Args:
        subject: what answered.
        images: what it was asked about.
        overlap: what `overlap.require_no_leakage` said.
        probabilities: its answers, [n, 7]; rows sum to 1.
        manifest: of what answered; None where it is not at hand.
        seed: the same seed gives the same intervals.
        refused: for each image, whether it was judged only when told to, bool [n]; None where
            it refuses nothing.
        resamples: how many resamples the intervals rest on.
        evaluation: of these very probabilities by this seed, if it was computed before.

    Raises:
        MetricError: answers of another shape or range.
    """
    truth, answers = validate_predictions(images.truth, probabilities)
    resampling = Resampling(images.groups, seed, resamples)
    if evaluation is None:
        evaluation = evaluate(truth, answers, images.groups, seed, resamples)
    people = images.people
    return EvaluationReport(
        subject=subject,
        images=images.description,
        image_set=images.digest,
        unlisted=images.unlisted,
        refused=None if refused is None else refused_share(refused, resampling),
        intervals_over="images" if people is None else "lesions",
        overlap=overlap,
        evaluation=evaluation,
        diagnoses={code: diagnosis_metrics(code, truth, answers, resampling) for code in CODES},
        melanoma_specificity=melanoma_specificities(truth, answers, resampling),
        calibration=calibration_report(
            None if manifest is None else manifest.calibration,
            truth,
            answers,
            evaluation,
            resampling,
        ),
        risk_coverage=risk_coverage(truth, answers, resampling),
        referral=None
        if manifest is None
        else referral(manifest.thresholds, truth, answers, resampling),
        subgroups=None if people is None else subgroups(people, truth, answers, resampling),
        subgroups_reason=_SUBGROUPS_UNKNOWN if people is None else None,
        answers=image_predictions(images, answers),
    )


def write_evaluation_report(path: Path, card: EvaluationReport, with_answers: bool = False) -> None:
    """Write every figure as JSON; the answers too, a line each, if asked to.

    Raises:
        StorageError: the disk is full or not writable.
    """
    values = card.without_answers().to_json()
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    if with_answers and card.answers:
        lines = ",\n".join(f"    {each.model_dump_json()}" for each in card.answers)
        text = text.removesuffix("\n}\n") + f',\n  "answers": [\n{lines}\n  ]\n}}\n'
    write_whole(path, lambda file: file.write(text.encode()))


def read_evaluation_report(path: Path) -> EvaluationReport:
    """Read what `write_evaluation_report` wrote.

    Raises:
        ScorecardError: not there, no scorecard, or one of another schema.
    """
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise EvaluationReportError(
            f"{path} cannot be read ({error.strerror or error}). It is written by "
            "`lentigo-train evaluate --json`."
        ) from error
    except (ValueError, RecursionError) as error:
        raise EvaluationReportError(
            f"{path} is no JSON ({error}). Write it again with `lentigo-train evaluate --json`."
        ) from error
    schema = values.get("schema_version") if isinstance(values, dict) else None
    if schema != SCHEMA_VERSION or isinstance(schema, bool):
        raise EvaluationReportError(
            f"{path} has the schema version {schema}; this release reads {SCHEMA_VERSION}. Measure "
            "again with `lentigo-train evaluate --json` of this release."
        )
    try:
        return EvaluationReport.from_json(values)
    except MetricError as error:
        raise EvaluationReportError(f"{path} cannot be used. {error}") from error
