"""What an answer about an image holds on the wire."""

from typing import Literal

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat

from lentigo_contract.imaging.quality import Reason
from lentigo_inference.schemas import (
    DiagnosisCode,
    Fraction,
    ModelReference,
    Problem,
    example,
    example_of,
)


def _left_out(value: object) -> bool:
    """Tell what is no member of the JSON at all, where other members are null."""
    return value is None


class ImageSummary(BaseModel):
    """The image as it was received; size as a viewer shows it."""

    sha256: str = Field(description="Of the bytes that were sent, in hex.")
    format: str = Field(examples=["JPEG"])
    width: int
    height: int


class Quality(BaseModel):
    """Whether the image can be judged."""

    accepted: bool = Field(
        description="If not, there is no diagnosis, unless `force` asked for one all the same."
    )
    reasons: list[Reason] = Field(description="Why it cannot be judged; empty if it can.")
    unlikeness: NonNegativeFloat | None = Field(
        description="How unlike the model's training images it is; null where the model does not "
        "tell, or was not asked because the pixels alone are reason enough."
    )
    unlikeness_limit: PositiveFloat | None = Field(
        description="Above it the image is unlike them; null where the model does not tell."
    )


class DiagnosisProbability(BaseModel):
    """A diagnosis and its probability."""

    code: DiagnosisCode
    name: str
    probability: Fraction


class DiagnosisScore(DiagnosisProbability):
    """The most probable diagnosis."""

    confident: bool | None = Field(
        description="Whether the probability reaches the model's abstention threshold; null where "
        "the model has none, so nobody knows."
    )


class ClassProbability(DiagnosisProbability):
    """One of the seven diagnoses."""

    malignant: bool


ReferralReason = Literal["malignancy", "unconfident", "unusable"]


class Malignancy(BaseModel):
    """The malignant diagnoses taken together, against the threshold of the model."""

    probability: Fraction | None = Field(
        description="Sum over the malignant diagnoses; null without a diagnosis."
    )
    threshold: Fraction
    refer: bool = Field(description="Whether a physician should see the lesion; see `reasons`.")
    reasons: list[ReferralReason] = Field(
        description="Why: the probability reaches the threshold, the diagnosis is not confident, "
        "the image cannot be judged. Empty if not to refer."
    )


class ActivationMap(BaseModel):
    """Where in the image the network found a diagnosis."""

    code: DiagnosisCode
    media_type: Literal["image/png"] = "image/png"
    data: str = Field(
        description="Base64 of an 8-bit grey PNG of 56x56 that covers the whole image, squashed "
        "to the square; scale it up smoothly. White speaks most for the diagnosis; each map has "
        "its own scale."
    )


class PredictionAnswer(BaseModel):
    """A diagnosis, or that there is none and why."""

    model_config = example(
        id="019b1f6e-4a57-7c3e-8d5c-0f8f3a2b7d10",
        model={"name": "lentigo", "version": "1", "architecture": "mobilenet"},
        image={"sha256": "9f86d081884c7d65...", "format": "JPEG", "width": 600, "height": 450},
        quality={"accepted": True, "reasons": [], "unlikeness": 3.1, "unlikeness_limit": 7.5},
        diagnosis={
            "code": "nv",
            "name": "Melanocytic nevus",
            "probability": 0.93,
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
    )

    id: str = Field(description="UUID version 7 of this answer.")
    model: ModelReference
    image: ImageSummary
    quality: Quality
    diagnosis: DiagnosisScore | None = Field(
        description="Null if the image cannot be judged and none was forced."
    )
    probabilities: list[ClassProbability] = Field(
        description="All seven, highest first; empty without a diagnosis."
    )
    malignancy: Malignancy
    notice: str
    activation_map: ActivationMap | None = Field(
        None,
        description="Of the most probable diagnosis; with `explain=true` or `explain=all`, if "
        "there is one.",
        exclude_if=_left_out,
    )
    activation_maps: list[ActivationMap] | None = Field(
        None,
        description="Of all seven, in the order of `probabilities`; only with `explain=all`.",
        exclude_if=_left_out,
    )


class BatchAnswer(BaseModel):
    """Answers in the order of the images; a problem in place of one that failed."""

    model_config = example(
        results=[
            example_of(PredictionAnswer),
            {
                **example_of(PredictionAnswer),
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

    results: list[PredictionAnswer | Problem]
