"""JSON schemas of `/v1/monitoring`, filled from the results of `lentigo_inference.monitoring`."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field

from lentigo_inference.api.schemas import (
    DiagnosisCode,
    Fraction,
    ModelReference,
    example,
    example_of,
)
from lentigo_inference.audit.records import Confirmation

Count = Annotated[int, Field(ge=0)]


class Figure(BaseModel):
    """A figure with its 95 % interval; all three are null where too little was measured."""

    value: float | None
    low: float | None = Field(description="Lower end of the 95 % interval.")
    high: float | None = Field(description="Upper end.")
    n: Count = Field(description="Examples that it rests on.")


class CalibrationBin(BaseModel):
    """One bar of the reliability diagram."""

    low: Fraction = Field(description="Lower end of its probabilities, exclusive.")
    high: Fraction = Field(description="Upper end, inclusive.")
    predicted: Fraction = Field(description="Mean probability of malignancy in it.")
    observed: Figure = Field(description="Share of malignant lesions in it.")


class MalignancyCalibration(BaseModel):
    """How the probability of malignancy agrees with what was confirmed."""

    predicted: Fraction | None = Field(description="Mean probability of malignancy.")
    observed: Figure = Field(description="Share of malignant lesions.")
    difference: Figure = Field(
        description="Observed minus predicted. Above 0, lesions are malignant more often than said."
    )
    error: Figure = Field(
        description="Expected calibration error. Chance alone makes it more than 0, most with few "
        "answers, and its interval leans upwards."
    )
    bins: list[CalibrationBin] = Field(description="Those that have answers, from low to high.")


class ConfirmedFigures(BaseModel):
    """Confirmed against said, by the feedback on the version in use.

    Each image counts once, by its latest feedback. Lesions are confirmed for a reason, so they are
    not like all that were answered: of those that are not referred few are ever confirmed.
    """

    answers: Count = Field(description="Images of this version whose diagnosis was confirmed.")
    confirmed_by: dict[Confirmation, Count]
    other: Count = Field(description="None of the seven diagnoses; these count for no figure.")
    withheld: Count = Field(
        description="Got no diagnosis, because the image could not be judged; these count for the "
        "referral alone."
    )
    since: AwareDatetime | None = Field(description="Time of the first of this feedback, UTC.")
    until: AwareDatetime | None = Field(description="Time of the last.")
    accuracy: Figure
    balanced_accuracy: Figure = Field(description="Mean of the recalls of `averaged_over`.")
    averaged_over: list[DiagnosisCode] = Field(
        description="The diagnoses that have enough answers; with fewer than two there is no "
        "balanced accuracy."
    )
    melanoma_sensitivity: Figure = Field(description="Share of the melanomas that were named so.")
    malignant_sensitivity: Figure = Field(
        description="Share of the malignant lesions whose diagnosis was a malignant one."
    )
    referral_sensitivity: Figure = Field(
        description="Share of the malignant lesions that were referred."
    )
    referral_specificity: Figure = Field(
        description="Share of the benign lesions that were not referred."
    )
    calibration: MalignancyCalibration


class Feature(BaseModel):
    """A number of each image, beside that of the images that the version was measured on."""

    median: float | None
    reference_median: float | None = Field(description="Null if the version does not tell.")
    drift: Figure = Field(
        description="Distance of Kolmogorov and Smirnov, 0 to 1: at least this share of the images "
        "would have to be others for the two distributions to be the same."
    )


class DiagnosisFrequency(BaseModel):
    """How often a diagnosis was named."""

    code: DiagnosisCode
    share: Figure
    expected: Fraction | None = Field(
        description="What the figures of the version lead to expect, at the prevalence in effect."
    )


class Diagnoses(BaseModel):
    """The diagnoses of the images that can be judged."""

    shares: list[DiagnosisFrequency]
    drift: Figure = Field(description="Total variation distance of the shares, 0 to 1.")


class RefusedImages(BaseModel):
    """The images that cannot be judged."""

    share: Figure
    expected: Fraction | None = Field(
        description="Of the images that the version was measured on; null if it does not tell."
    )
    drift: Figure = Field(description="Difference of the two.")


class InputFigures(BaseModel):
    """The images that this instance answered lately with the version in use, since it started."""

    images: Count = Field(description="How many: the latest, up to a bound.")
    since: AwareDatetime | None = Field(description="Time of the first of these answers, UTC.")
    until: AwareDatetime | None = Field(description="Time of the last.")
    reference: str | None = Field(
        description="Which images the version was measured on; null if it does not tell, as older "
        "versions do not. Then the drift of the numbers is not measured."
    )
    brightness: Feature = Field(description="Mean luma of an image, 0 to 255.")
    sharpness: Feature = Field(description="Fine detail against contrast, 0 to 1.")
    unlikeness: Feature = Field(
        description="Distance from the training images; of images that the network saw."
    )
    diagnoses: Diagnoses
    refused: RefusedImages


_RARELY = {"value": 0.03, "low": 0.01, "high": 0.15, "n": 33}
_NO_DRIFT = {"value": 0.06, "low": 0.0, "high": 0.14, "n": 500}


class MonitoringReport(BaseModel):
    """How the version in use does here: confirmed against said, and drift of the input."""

    model_config = example(
        model=example_of(ModelReference),
        confirmed={
            "answers": 50,
            "confirmed_by": {
                "histopathology": 38,
                "follow-up": 12,
                "consensus": 0,
                "confocal": 0,
            },
            "other": 1,
            "withheld": 0,
            "since": "2026-12-01T08:00:00Z",
            "until": "2026-12-20T16:30:00Z",
            "accuracy": {"value": 0.84, "low": 0.71, "high": 0.91, "n": 49},
            "balanced_accuracy": {"value": 0.81, "low": 0.66, "high": 0.89, "n": 45},
            "averaged_over": ["mel", "nv"],
            "melanoma_sensitivity": {"value": 0.75, "low": 0.47, "high": 0.91, "n": 12},
            "malignant_sensitivity": {"value": 0.8, "low": 0.55, "high": 0.93, "n": 15},
            "referral_sensitivity": {"value": 0.93, "low": 0.7, "high": 0.99, "n": 15},
            "referral_specificity": {"value": 0.71, "low": 0.54, "high": 0.83, "n": 34},
            "calibration": {
                "predicted": 0.33,
                "observed": {"value": 0.31, "low": 0.2, "high": 0.45, "n": 49},
                "difference": {"value": -0.02, "low": -0.13, "high": 0.12, "n": 49},
                "error": {"value": 0.1, "low": 0.08, "high": 0.21, "n": 49},
                "bins": [
                    {"low": 0.0, "high": 0.0667, "predicted": 0.03, "observed": _RARELY},
                ],
            },
        },
        input={
            "images": 500,
            "since": "2026-12-19T07:12:00Z",
            "until": "2026-12-20T16:45:00Z",
            "reference": "the paper's validation images of HAM10000",
            "brightness": {"median": 161.0, "reference_median": 159.5, "drift": _NO_DRIFT},
            "sharpness": {"median": 0.31, "reference_median": 0.31, "drift": _NO_DRIFT},
            "unlikeness": {"median": 0.92, "reference_median": 0.9, "drift": _NO_DRIFT},
            "diagnoses": {
                "shares": [
                    {
                        "code": "nv",
                        "share": {"value": 0.7, "low": 0.66, "high": 0.74, "n": 495},
                        "expected": 0.67,
                    }
                ],
                "drift": {"value": 0.05, "low": 0.0, "high": 0.16, "n": 495},
            },
            "refused": {
                "share": {"value": 0.01, "low": 0.004, "high": 0.023, "n": 500},
                "expected": 0.006,
                "drift": {"value": 0.004, "low": 0.0, "high": 0.079, "n": 500},
            },
        },
        notice="Research use only. Not a medical device.",
    )

    model: ModelReference
    confirmed: ConfirmedFigures
    input: InputFigures
    notice: str
