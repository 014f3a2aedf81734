"""What goes over the wire, with an example of each.

Answers about images and the open protocol have modules of their own.
"""

from typing import Annotated, Any

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
