"""What goes over the wire, with an example of each; the open protocol has a module of its own."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

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


class ImageSummary(BaseModel):
    """The image as it was received; size as a viewer shows it."""

    sha256: str = Field(description="Of the bytes that were sent, in hex.")
    format: str = Field(examples=["JPEG"])
    width: int
    height: int


class DiagnosisScore(BaseModel):
    """The most probable diagnosis."""

    code: DiagnosisCode
    name: str
    probability: Fraction


class ClassProbability(DiagnosisScore):
    """One of the seven diagnoses."""

    malignant: bool


class Malignancy(BaseModel):
    """The malignant diagnoses taken together, against the threshold of the model."""

    probability: Fraction = Field(description="Sum over the malignant diagnoses.")
    threshold: Fraction
    refer: bool = Field(description="Whether the probability reaches the threshold.")


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
    """A diagnosis."""

    model_config = example(
        id="019b1f6e-4a57-7c3e-8d5c-0f8f3a2b7d10",
        model={"name": "lentigo", "version": "1", "architecture": "mobilenet"},
        image={"sha256": "9f86d081884c7d65...", "format": "JPEG", "width": 600, "height": 450},
        diagnosis={"code": "nv", "name": "Melanocytic nevus", "probability": 0.93},
        probabilities=[
            {
                "code": "nv",
                "name": "Melanocytic nevus",
                "probability": 0.93,
                "malignant": False,
            },
            {"code": "mel", "name": "Melanoma", "probability": 0.03, "malignant": True},
        ],
        malignancy={"probability": 0.03, "threshold": 0.18, "refer": False},
        notice="Research use only. Not a medical device.",
    )

    id: str = Field(description="UUID version 7 of this answer.")
    model: ModelReference
    image: ImageSummary
    diagnosis: DiagnosisScore
    probabilities: list[ClassProbability] = Field(description="All seven, highest first.")
    malignancy: Malignancy
    notice: str
    activation_map: ActivationMap | None = Field(
        None, description="Of the most probable diagnosis; with `explain=true` or `explain=all`."
    )
    activation_maps: list[ActivationMap] | None = Field(
        None,
        description="Of all seven, in the order of `probabilities`; only with `explain=all`.",
    )


class BatchAnswer(BaseModel):
    """Diagnoses in the order of the images; a problem in place of one that failed."""

    model_config = example(results=[example_of(PredictionAnswer), example_of(Problem)])

    results: list[PredictionAnswer | Problem]


class Label(BaseModel):
    """A diagnosis the model can name."""

    code: DiagnosisCode
    name: str
    malignant: bool
    icd10: list[str]


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
    metrics: dict[str, JsonValue] = Field(description="As `lentigo-train evaluate` gave them.")
    dataset: dict[str, JsonValue]
    parameters: dict[str, JsonValue]
    notice: str


class ModelList(BaseModel):
    """The versions in use: one, or none while no model is loaded."""

    model_config = example(models=[example_of(ModelDetails)])

    models: list[ModelDetails]
