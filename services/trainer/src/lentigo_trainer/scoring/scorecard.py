"""Everything that was measured on one set of images, as a value that can be written and read."""

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from lentigo_contract.errors import MetricError
from lentigo_contract.labels import CODES, RESEARCH_NOTICE
from lentigo_contract.manifest.manifest import Manifest
from lentigo_trainer.answers import FloatArray, checked
from lentigo_trainer.evaluation import Evaluation, evaluate
from lentigo_trainer.intervals import RESAMPLES, Figure
from lentigo_trainer.scoring.diagnoses import (
    DiagnosisFigures,
    diagnosis_figures,
    melanoma_specificities,
)
from lentigo_trainer.scoring.image_set import ImageSet
from lentigo_trainer.scoring.kept_answers import KeptAnswer, kept_answers
from lentigo_trainer.scoring.measured import Resampling
from lentigo_trainer.scoring.recalibration import CalibrationReport, calibration_report
from lentigo_trainer.scoring.referral import Referral, referral
from lentigo_trainer.scoring.refusals import Refused, refused_share
from lentigo_trainer.scoring.selective import RiskCoverage, risk_coverage
from lentigo_trainer.scoring.subgroups import Subgroups, subgroups
from lentigo_trainer.scoring.subject import Subject

SCHEMA_VERSION: Final = 1

_SUBGROUPS_UNKNOWN: Final = "HAM10000's metadata of these images is not known; see --metadata"


class Scorecard(BaseModel):
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
    subject: Subject
    images: str
    image_set: str
    unlisted: int
    refused: Figure | None
    intervals_over: Literal["lesions", "images"]
    overlap: str
    evaluation: Evaluation
    diagnoses: dict[str, DiagnosisFigures]
    melanoma_specificity: dict[str, Figure]
    calibration: CalibrationReport
    risk_coverage: RiskCoverage
    referral: Referral | None = None
    subgroups: Subgroups | None
    subgroups_reason: str | None = None
    answers: tuple[KeptAnswer, ...] | None = None

    def without_answers(self) -> "Scorecard":
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
    def from_json(cls, values: Mapping[str, JsonValue]) -> "Scorecard":
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
            raise MetricError(f"These are not the figures of an evaluation: {error}") from error


def score(
    subject: Subject,
    images: ImageSet,
    overlap: str,
    probabilities: FloatArray,
    manifest: Manifest | None,
    seed: int,
    refused: Refused | None = None,
    resamples: int = RESAMPLES,
) -> Scorecard:
    """Measure everything, with 95 % intervals.

    Args:
        subject: what answered.
        images: what it was asked about.
        overlap: what `overlap.require_no_overlap` said.
        probabilities: its answers, [n, 7]; rows sum to 1.
        manifest: of what answered; None where it is not at hand.
        seed: the same seed gives the same intervals.
        refused: for each image, whether it was judged only when told to, bool [n]; None where
            it refuses nothing.
        resamples: how many resamples the intervals rest on.

    Raises:
        MetricError: answers of another shape or range.
    """
    truth, answers = checked(images.truth, probabilities)
    resampling = Resampling(images.groups, seed, resamples)
    evaluation = evaluate(truth, answers, images.groups, seed, resamples)
    people = images.people
    return Scorecard(
        subject=subject,
        images=images.description,
        image_set=images.digest,
        unlisted=images.unlisted,
        refused=None if refused is None else refused_share(refused, resampling),
        intervals_over="images" if people is None else "lesions",
        overlap=overlap,
        evaluation=evaluation,
        diagnoses={code: diagnosis_figures(code, truth, answers, resampling) for code in CODES},
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
        answers=kept_answers(images, answers),
    )
