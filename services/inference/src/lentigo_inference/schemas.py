"""What goes over the wire, with an example of each."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Fraction = Annotated[float, Field(ge=0, le=1)]
DiagnosisCode = Annotated[str, Field(description="Code of HAM10000.", examples=["nv"])]


def _example(**values: Any) -> ConfigDict:  # noqa: ANN401 - any JSON
    return ConfigDict(frozen=True, json_schema_extra={"examples": [values]})


class Problem(BaseModel):
    """An error, as RFC 9457 has it, with `error` beside it for Open Inference clients."""

    model_config = _example(
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

    model_config = _example(name="lentigo", version="1", architecture="mobilenet")

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
    """Where in the image the network found the most probable diagnosis."""

    code: DiagnosisCode
    media_type: Literal["image/png"] = "image/png"
    data: str = Field(
        description="Base64 of an 8-bit grey PNG of 224x224 that covers the whole image, squashed "
        "to the square. White speaks most for the diagnosis; each map has its own scale."
    )


class PredictionAnswer(BaseModel):
    """A diagnosis."""

    model_config = _example(
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
        None, description="Of the most probable diagnosis; only with `explain=true`."
    )


class Label(BaseModel):
    """A diagnosis the model can name."""

    code: DiagnosisCode
    name: str
    malignant: bool
    icd10: list[str]


class ModelDetails(ModelReference):
    """A version in use: what it knows and how well."""

    engine: str = Field(description="Runtime that computes it.", examples=["savedmodel"])
    created: str = Field(description="When training ended, UTC.", examples=["2026-11-23T10:00:00Z"])
    license: str
    labels: list[Label] = Field(description="In the order of the network's output.")
    threshold: Fraction = Field(description="Probability of malignancy from which to refer.")
    metrics: dict[str, JsonValue] = Field(description="As `lentigo-train evaluate` gave them.")
    dataset: dict[str, JsonValue]
    parameters: dict[str, JsonValue]
    notice: str


class ModelList(BaseModel):
    """The versions in use: one, or none while no model is loaded."""

    models: list[ModelDetails]


class ServerLive(BaseModel):
    """The process answers."""

    model_config = _example(live=True)

    live: bool


class ServerReady(BaseModel):
    """A model is loaded."""

    model_config = _example(ready=True)

    ready: bool


class ModelReady(BaseModel):
    """That model is loaded."""

    model_config = _example(name="lentigo", ready=True)

    name: str
    ready: bool


class ServerMetadata(BaseModel):
    """What serves here."""

    model_config = _example(name="lentigo", version="0.1.0", extensions=[])

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """A tensor that goes in or comes out; -1 is any number of images."""

    name: str
    datatype: Literal["UINT8", "FP32"]
    shape: list[int]


class ModelMetadata(BaseModel):
    """A model's tensors, as the Open Inference Protocol describes them."""

    model_config = _example(
        name="lentigo",
        versions=["1"],
        platform="tensorflow_savedmodel",
        inputs=[{"name": "image", "datatype": "UINT8", "shape": [-1, 224, 224, 3]}],
        outputs=[
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 7]},
            {"name": "activation_map", "datatype": "FP32", "shape": [-1, 7, 7, 7]},
        ],
    )

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class RepositoryIndexRequest(BaseModel):
    """Which versions to list."""

    model_config = _example(ready=False)

    ready: bool = Field(False, description="Only those that are in use.")


class RepositoryIndexEntry(BaseModel):
    """How one version stands."""

    model_config = _example(
        name="lentigo",
        version="2",
        state="UNAVAILABLE",
        reason="variables/variables.data-00000-of-00001 is missing.",
    )

    name: str
    version: str
    state: Literal["READY", "LOADING", "UNAVAILABLE"]
    reason: str
