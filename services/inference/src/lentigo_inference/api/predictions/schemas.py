"""JSON schemas of a prediction, each with an example."""

from typing import Literal

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat

from lentigo_contract.decision import DecidedBy
from lentigo_contract.imaging.quality import Reason
from lentigo_inference.api.description.schemas import EXAMPLE, Description
from lentigo_inference.api.schemas import (
    DiagnosisCode,
    Fraction,
    ModelReference,
    Problem,
    example,
    example_of,
)
from lentigo_inference.serving.decision import ReferralReason


def _left_out(value: object) -> bool:
    """Whether the member is left out of the JSON, instead of being null."""
    return value is None


class ImageSummary(BaseModel):
    """The image as received; width and height as a viewer shows it."""

    sha256: str = Field(description="Digest of the uploaded bytes, in hex.")
    format: str = Field(examples=["JPEG"])
    width: int
    height: int


class Quality(BaseModel):
    """Whether the image can be judged."""

    accepted: bool = Field(
        description="If false, there is no diagnosis, unless `force` asked for one."
    )
    reasons: list[Reason] = Field(description="Why it cannot be judged; empty if it can.")
    unlikeness: NonNegativeFloat | None = Field(
        description="Distance from the model's training images; null if the model has no such "
        "check, or did not run because the pixels alone were reason enough."
    )
    unlikeness_limit: PositiveFloat | None = Field(
        description="Above it, the image cannot be judged; null if the model has no such check."
    )


class DiagnosisProbability(BaseModel):
    """A diagnosis and its probability."""

    code: DiagnosisCode
    name: str
    probability: Fraction


class DiagnosisScore(DiagnosisProbability):
    """The diagnosis that was decided for."""

    decided_by: DecidedBy = Field(
        description="How: `balanced`, as if the seven diagnoses were equally frequent, so that "
        "rare ones are not overlooked, or `probable`, the most probable one."
    )
    confident: bool | None = Field(
        description="Whether the probability of the most probable diagnosis reaches the model's "
        "abstention threshold; null if the model has none. False: rely on no diagnosis. True says "
        "nothing about this one where `most_probable` is another; see its probability."
    )


class ClassProbability(DiagnosisProbability):
    """One of the seven diagnoses."""

    malignant: bool


class Malignancy(BaseModel):
    """The probability of malignancy, compared with the threshold of the model."""

    probability: Fraction | None = Field(
        description="Of any malignant diagnosis: calibrated by itself if the model has such a "
        "calibration, otherwise the sum over the malignant diagnoses; null without a diagnosis."
    )
    threshold: Fraction
    refer: bool = Field(description="Whether a physician should see the lesion; see `reasons`.")
    reasons: list[ReferralReason] = Field(
        description="Why to refer: the probability reaches the threshold, the diagnosis is not "
        "confident, or the image cannot be judged. Empty if `refer` is false."
    )


class ActivationMap(BaseModel):
    """Which areas of the image count towards a diagnosis."""

    code: DiagnosisCode
    media_type: Literal["image/png"] = "image/png"
    data: str = Field(
        description="Base64 of an 8-bit grey PNG of 56x56 pixels. It covers the whole image, "
        "squeezed into a square; scale it up smoothly. White counts most towards the diagnosis; "
        "each map has its own scale."
    )


class PredictionResponse(BaseModel):
    """The prediction for one image: a diagnosis, or the reasons why there is none."""

    model_config = example(
        id="019b1f6e-4a57-7c3e-8d5c-0f8f3a2b7d10",
        model={
            "name": "lentigo",
            "version": "1",
            "architecture": "mobilenet",
            "engine": "litert",
            "digest": "bd0c00d73558a120...",
        },
        image={"sha256": "9f86d081884c7d65...", "format": "JPEG", "width": 600, "height": 450},
        quality={"accepted": True, "reasons": [], "unlikeness": 3.1, "unlikeness_limit": 7.5},
        diagnosis={
            "code": "nv",
            "name": "Melanocytic nevus",
            "probability": 0.93,
            "decided_by": "balanced",
            "confident": True,
        },
        probabilities=[
            {
                "code": "nv",
                "name": "Melanocytic nevus",
                "probability": 0.93,
                "malignant": False,
            },
            {"code": "mel", "name": "Melanoma", "probability": 0.03, "malignant": True},
        ],
        malignancy={"probability": 0.03, "threshold": 0.18, "refer": False, "reasons": []},
        notice="Research use only. Not a medical device.",
        description=EXAMPLE,
    )

    id: str = Field(description="UUID version 7 of this prediction.")
    model: ModelReference
    image: ImageSummary
    quality: Quality
    diagnosis: DiagnosisScore | None = Field(
        description="Null if the image cannot be judged, unless `force` asked for one."
    )
    most_probable: DiagnosisProbability | None = Field(
        None,
        description="The first of `probabilities`, if `diagnosis` is another one, because it is "
        "decided as if all seven were equally frequent. Left out if they are the same.",
        exclude_if=_left_out,
    )
    probabilities: list[ClassProbability] = Field(
        description="All seven, highest first; empty without a diagnosis."
    )
    malignancy: Malignancy
    notice: str
    activation_map: ActivationMap | None = Field(
        None,
        description="Map of `diagnosis`; only with `explain=true` or "
        "`explain=all`, and if there is a diagnosis.",
        exclude_if=_left_out,
    )
    activation_maps: list[ActivationMap] | None = Field(
        None,
        description="Maps of all seven, in the order of `probabilities`; only with `explain=all`.",
        exclude_if=_left_out,
    )
    description: Description | None = Field(
        None,
        description="What the lesion looks like, which plays no part in the diagnosis; only with "
        "`describe=true`.",
        exclude_if=_left_out,
    )


class BatchResponse(BaseModel):
    """Predictions in the order of the images; a problem in place of each that failed."""

    model_config = example(
        results=[
            example_of(PredictionResponse),
            {
                **example_of(PredictionResponse),
                "quality": {
                    "accepted": False,
                    "reasons": ["blurred"],
                    "unlikeness": None,
                    "unlikeness_limit": 7.5,
                },
                "diagnosis": None,
                "probabilities": [],
                "malignancy": {
                    "probability": None,
                    "threshold": 0.18,
                    "refer": True,
                    "reasons": ["unusable"],
                },
            },
            example_of(Problem),
        ]
    )

    results: list[PredictionResponse | Problem]
