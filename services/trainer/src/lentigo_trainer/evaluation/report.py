"""The report of an evaluation: all about one version on one set of images, also as a file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, JsonValue

from lentigo_contract.decision import PrevalenceSource
from lentigo_contract.labels import CODES, RESEARCH_NOTICE
from lentigo_contract.manifest.manifest import Manifest
from lentigo_trainer.errors import EvaluationReportError, MetricError
from lentigo_trainer.evaluation.calibration_report import CalibrationReport, calibration_report
from lentigo_trainer.evaluation.external_test import ExternalTest, external_test
from lentigo_trainer.evaluation.image_predictions import ImagePrediction, image_predictions
from lentigo_trainer.evaluation.images.image_sets import ImageSet
from lentigo_trainer.evaluation.per_diagnosis import (
    DiagnosisMetrics,
    diagnosis_metrics,
    melanoma_specificities,
)
from lentigo_trainer.evaluation.referral import Referral, Refused, referral, refused_share
from lentigo_trainer.evaluation.risk_coverage import RiskCoverage, risk_coverage
from lentigo_trainer.evaluation.subgroups import Subgroups, subgroups
from lentigo_trainer.evaluation.summary import Evaluation, evaluate
from lentigo_trainer.metrics.arrays import FloatArray, validate_predictions
from lentigo_trainer.metrics.bootstrap import RESAMPLES, Estimate, Resampling
from lentigo_trainer.metrics.decisions import Decisions, decisions_by
from lentigo_trainer.system.storage import write_whole

SCHEMA_VERSION: Final = 1

_SUBGROUPS_UNKNOWN: Final = "HAM10000's metadata of these images is not known; see --metadata"


class EvaluatedModel(BaseModel):
    """The version that was evaluated, and how.

    Attributes:
        name: of the model.
        version: its number.
        architecture: of the network.
        created: when training ended, UTC.
        asked: "in process", or the address of the service.
        engine: the runtime that computed.
        recipe: the name of the recipe that trained it; None where it has none or is unknown.
        prevalence_source: at whose prevalence the probabilities hold; None where it is unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int
    architecture: str
    created: str
    asked: str
    engine: str
    recipe: str | None = None
    prevalence_source: PrevalenceSource | None = None

    @property
    def named(self) -> str:
        """Name and number, with the recipe if it has a name."""
        recipe = "" if self.recipe is None else f" (recipe {self.recipe})"
        return f"{self.name} {self.version}{recipe}"


def evaluated_model(manifest: Manifest, version: int) -> EvaluatedModel:
    """Describe a version that runs in this process; its number is 0 before it is published."""
    recipe = manifest.recipe.get("name")
    return EvaluatedModel(
        name=manifest.name,
        version=version,
        architecture=manifest.architecture,
        created=manifest.created.isoformat(),
        asked="in process",
        engine="savedmodel",
        recipe=None if recipe is None else str(recipe),
        prevalence_source=None if manifest.prevalence is None else "version",
    )


class EvaluationReport(BaseModel):
    """Everything that was evaluated of one version on one set of images.

    In JSON the metrics of `Evaluation` are at the top level, under the names they have in the
    manifest; `lesions` is null where lesions are unknown.

    Attributes:
        subject: the version.
        images: the images, in words.
        image_set: see `ImageSet.digest`; the same for the same images with the same truth.
        unlisted: further images that were found without ground truth.
        refused: share of the images that get a diagnosis only when it is forced, because they are
            too far from the training images or unusable; None for a version that refuses nothing.
            All other metrics include these images.
        unchanged_when_turned: share of the images that get the same diagnosis in eight positions,
            turned and mirrored; None where it was not measured.
        intervals_over: what the bootstrap drew: whole lesions, or images if lesions are unknown.
        overlap: how it was checked that no image trained the version, or why it was not.
        known_duplicates: names of the images that show a lesion of a training image under another
            lesion id; `evaluation` has the metrics without them too.
        evaluation: see there.
        diagnoses: each of the seven against the rest, by code.
        melanoma_specificity: at a sensitivity of "0.90" and "0.95".
        calibration: before and after.
        risk_coverage: how often the most confident predictions are wrong.
        referral: what its thresholds do; None where they are unknown.
        external: what an imported set tells besides; None for other images.
        subgroups: by sex, age, site and confirmation; None where those are unknown.
        subgroups_reason: why there are none.
        answers: the prediction for every image; None where they were not kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = SCHEMA_VERSION
    notice: str = RESEARCH_NOTICE
    subject: EvaluatedModel
    images: str
    image_set: str
    unlisted: int
    refused: Estimate | None
    unchanged_when_turned: Estimate | None = None
    intervals_over: Literal["lesions", "images"]
    overlap: str
    known_duplicates: tuple[str, ...] = ()
    evaluation: Evaluation
    diagnoses: dict[str, DiagnosisMetrics]
    melanoma_specificity: dict[str, Estimate]
    calibration: CalibrationReport
    risk_coverage: RiskCoverage
    referral: Referral | None = None
    external: ExternalTest | None = None
    subgroups: Subgroups | None
    subgroups_reason: str | None = None
    answers: tuple[ImagePrediction, ...] | None = None

    def without_answers(self) -> "EvaluationReport":
        """Return the report without the predictions for each image."""
        return self.model_copy(update={"answers": None})

    def to_json(self) -> dict[str, JsonValue]:
        """Return everything as plain values for `json.dumps`."""
        left_out = {"evaluation"}
        left_out |= {
            name
            for name in ("answers", "external", "unchanged_when_turned")
            if not getattr(self, name)
        }
        values: dict[str, JsonValue] = self.model_dump(mode="json", exclude=left_out)
        metrics = self.evaluation.to_json()
        if self.intervals_over == "images":
            metrics["lesions"] = None
        return values | metrics

    @classmethod
    def from_json(cls, values: Mapping[str, JsonValue]) -> "EvaluationReport":
        """Read what `to_json` returned.

        Raises:
            MetricError: the values are not such a report.
        """
        metrics = {name: values[name] for name in Evaluation.model_fields if name in values}
        rest = {name: value for name, value in values.items() if name not in metrics}
        if metrics.get("lesions") is None:
            metrics["lesions"] = values.get("examples")
        try:
            return cls.model_validate({**rest, "evaluation": metrics})
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
    decisions: Decisions | None = None,
) -> EvaluationReport:
    """Evaluate predictions in full, with 95 % intervals.

    Args:
        subject: the version.
        images: what it was evaluated on.
        overlap: the result of `leakage.require_no_leakage`.
        probabilities: its predictions, [n, 7]; rows sum to 1.
        manifest: of the version; None if unknown.
        seed: the same seed gives the same intervals.
        refused: whether each image gets a diagnosis only when it is forced, bool [n]; None where
            the version refuses nothing.
        resamples: how many resamples the intervals rest on.
        evaluation: of these very probabilities and decisions by this seed, if it was computed
            before.
        decisions: what was decided about the images; by default what the manifest says.

    Raises:
        MetricError: probabilities of another shape or range.
    """
    truth, probabilities = validate_predictions(images.truth, probabilities)
    resampling = Resampling(images.groups, seed, resamples)
    decided = decisions or decisions_by(manifest, probabilities)
    if evaluation is None or evaluation.decided_by != decided.by:
        how = (images.groups, seed, resamples)
        evaluation = evaluate(truth, probabilities, *how, decided, images.duplicated)
    people = images.people
    moved = subject.prevalence_source == "clinic"
    return EvaluationReport(
        subject=subject,
        images=images.description,
        image_set=images.digest,
        unlisted=images.unlisted,
        refused=None if refused is None else refused_share(refused, resampling),
        intervals_over="images" if people is None else "lesions",
        overlap=overlap,
        known_duplicates=tuple(np.array(images.names)[images.duplicated]),
        evaluation=evaluation,
        diagnoses={
            code: diagnosis_metrics(code, truth, probabilities, resampling, decided.classes)
            for code in CODES
        },
        melanoma_specificity=melanoma_specificities(truth, probabilities, resampling),
        calibration=calibration_report(
            None if manifest is None or moved else manifest.calibration,
            truth,
            probabilities,
            evaluation,
            resampling,
        ),
        risk_coverage=risk_coverage(truth, probabilities, resampling, decided.classes),
        referral=None
        if manifest is None
        else referral(manifest.thresholds, truth, probabilities, resampling, decided),
        external=external_test(
            images,
            truth,
            probabilities,
            None if manifest is None else manifest.malignancy_calibration,
            resampling,
        ),
        subgroups=None
        if people is None
        else subgroups(people, truth, probabilities, resampling, decided),
        subgroups_reason=_SUBGROUPS_UNKNOWN if people is None else None,
        answers=image_predictions(images, probabilities, decided.classes),
    )


def write_evaluation_report(
    path: Path, report: EvaluationReport, with_answers: bool = False
) -> None:
    """Write a report as JSON; the predictions only if asked to, one line each.

    Raises:
        StorageError: the disk is full or not writable.
    """
    values = report.without_answers().to_json()
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    if with_answers and report.answers:
        lines = ",\n".join(f"    {each.model_dump_json()}" for each in report.answers)
        text = text.removesuffix("\n}\n") + f',\n  "answers": [\n{lines}\n  ]\n}}\n'
    write_whole(path, lambda file: file.write(text.encode()))


def read_evaluation_report(path: Path) -> EvaluationReport:
    """Read what `write_evaluation_report` wrote.

    Raises:
        EvaluationReportError: missing, not a report, or one of another schema.
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
            f"{path} is not JSON ({error}). Write it again with `lentigo-train evaluate --json`."
        ) from error
    schema = values.get("schema_version") if isinstance(values, dict) else None
    if schema != SCHEMA_VERSION or isinstance(schema, bool):
        raise EvaluationReportError(
            f"{path} has the schema version {schema}; this release reads {SCHEMA_VERSION}. "
            "Evaluate again with `lentigo-train evaluate --json` of this release."
        )
    try:
        return EvaluationReport.from_json(values)
    except MetricError as error:
        raise EvaluationReportError(f"{path} cannot be used. {error}") from error
