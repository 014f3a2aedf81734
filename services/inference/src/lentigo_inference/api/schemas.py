"""What goes over the wire, with an example of each.

Answers about images and the open protocol have modules of their own.

What an answer about an image holds on the wire.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, NonNegativeFloat, PositiveFloat

from lentigo_contract.imaging.quality import Reason

Fraction = Annotated[float, Field(ge=0, le=1)]
DiagnosisCode = Annotated[str, Field(description="Code of HAM10000.", examples=["nv"])]


def example(**values: Any) -> ConfigDict:  # noqa: ANN401 - any JSON
    """Configure a wire model, with an example of it for the OpenAPI document."""
    return ConfigDict(frozen=True, json_schema_extra={"examples": [values]})


def example_of(model: type[BaseModel]) -> Any:  # noqa: ANN401 - any JSON
    """Give the example of a wire model that was configured with `example`."""
    extra: Any = model.model_config["json_schema_extra"]
    return extra["examples"][0]


class Problem(BaseModel):
    """An error, as RFC 9457 has it, with `error` beside it for Open Inference clients."""

    model_config = example(
        type="urn:lentigo:problem:unsupported-image",
        title="Not an image type we read",
        status=415,
        detail="The content is not an image type we read. Send JPEG, PNG, WebP, BMP or TIFF.",
        instance="urn:lentigo:request:019b1f6e-4a57-7c3e-8d5c-0f8f3a2b7d10",
        error="The content is not an image type we read. Send JPEG, PNG, WebP, BMP or TIFF.",
    )

    type: str = Field(description="Kind of problem; clients may tell problems apart by it.")
    title: str
    status: int
    detail: str = Field(description="What is wrong and what to do about it.")
    instance: str = Field(description="Names this occurrence by its request id.")
    error: str = Field(description="The same as `detail`.")


class ModelReference(BaseModel):
    """The version that answered."""

    model_config = example(name="lentigo", version="1", architecture="mobilenet")

    name: str
    version: str
    architecture: str


class Label(BaseModel):
    """A diagnosis the model can name."""

    code: DiagnosisCode
    name: str
    malignant: bool
    icd10: list[str]


class UnlikenessCheck(BaseModel):
    """How a version tells an image that is unlike those it learned from."""

    limit: float = Field(gt=0, description="An image above it cannot be judged.")
    method: str = Field(description="What the figure is.")
    source: str = Field(description="How the limit was chosen, and what it does.")


class ModelDetails(ModelReference):
    """A version in use: what it knows and how well."""

    model_config = example(
        name="lentigo",
        version="1",
        architecture="mobilenet",
        engine="litert",
        created="2026-11-23T10:00:00Z",
        license="CC BY-NC 4.0",
        labels=[
            {"code": "nv", "name": "Melanocytic nevus", "malignant": False, "icd10": ["D22"]},
            {"code": "mel", "name": "Melanoma", "malignant": True, "icd10": ["C43"]},
        ],
        threshold=0.18,
        threshold_source="largest with a sensitivity of at least 0.95 on 938 images",
        abstention_threshold=0.5,
        abstention_source="below it the diagnosis is right for less than 70% of 610 images",
        unlikeness={
            "limit": 7.5,
            "method": "distance of the pooled features to the nearest training images",
            "source": "99% of 610 images that trained nothing are below",
        },
        metrics={"accuracy": 0.9},
        dataset={"name": "HAM10000", "images": 10015},
        parameters={"total": 4285639, "trainable": 2914823, "frozen": 1370816},
        notice="Research use only. Not a medical device.",
    )

    engine: str = Field(description="Runtime that computes it.", examples=["savedmodel"])
    created: str = Field(description="When training ended, UTC.", examples=["2026-11-23T10:00:00Z"])
    license: str
    labels: list[Label] = Field(description="In the order of the network's output.")
    threshold: Fraction = Field(description="Probability of malignancy from which to refer.")
    threshold_source: str = Field(
        description="How the threshold was chosen, and what it reaches.",
        examples=["largest with a sensitivity of at least 0.95 on 938 images"],
    )
    abstention_threshold: Fraction | None = Field(
        description="Probability of the most probable diagnosis below which to refer, because it "
        "is not relied on; null where the version has none."
    )
    abstention_source: str = Field(description="How that was chosen; empty where there is none.")
    unlikeness: UnlikenessCheck | None = Field(
        description="Null where the version does not tell; no image is refused for that then."
    )
    metrics: dict[str, JsonValue] = Field(description="As `lentigo-train evaluate` gave them.")
    dataset: dict[str, JsonValue]
    parameters: dict[str, JsonValue]
    notice: str


class ModelList(BaseModel):
    """The versions in use: one, or none while no model is loaded."""

    model_config = example(models=[example_of(ModelDetails)])

    models: list[ModelDetails]


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
