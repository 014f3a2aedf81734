"""JSON schemas of errors, versions and feedback, each with an example."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from lentigo_contract.decision import DecidedBy, PrevalenceSource
from lentigo_inference.audit.records import Confirmation

Fraction = Annotated[float, Field(ge=0, le=1)]
DiagnosisCode = Annotated[str, Field(description="Code of HAM10000.", examples=["nv"])]


def example(**values: Any) -> ConfigDict:  # noqa: ANN401 - any JSON
    """Return the configuration of a schema, with an example for the OpenAPI document."""
    return ConfigDict(frozen=True, json_schema_extra={"examples": [values]})


def example_of(model: type[BaseModel]) -> Any:  # noqa: ANN401 - any JSON
    """Return the example of a schema that was configured with `example`."""
    extra: Any = model.model_config["json_schema_extra"]
    return extra["examples"][0]


class Problem(BaseModel):
    """An error as RFC 9457 defines it, plus `error` for Open Inference clients."""

    model_config = example(
        type="urn:lentigo:problem:unsupported-image",
        title="Unsupported image type",
        status=415,
        detail="The content is not an image type we read. Send JPEG, PNG, WebP, BMP or TIFF.",
        instance="urn:lentigo:request:019b1f6e-4a57-7c3e-8d5c-0f8f3a2b7d10",
        error="The content is not an image type we read. Send JPEG, PNG, WebP, BMP or TIFF.",
    )

    type: str = Field(description="Type of the problem; clients may rely on it.")
    title: str
    status: int
    detail: str = Field(description="What is wrong and what to do about it.")
    instance: str = Field(description="Identifies this occurrence by its request id.")
    error: str = Field(description="The same as `detail`.")


class ModelReference(BaseModel):
    """The model version that made the prediction."""

    model_config = example(
        name="lentigo",
        version="1",
        architecture="mobilenet",
        engine="litert",
        digest="bd0c00d73558a120...",
    )

    name: str
    version: str
    architecture: str
    engine: str = Field(description="Runtime that runs the model.", examples=["savedmodel"])
    digest: str = Field(
        description="SHA-256 of the manifest of the version, in hex; the manifest has the digests "
        "of all its other files."
    )


class Label(BaseModel):
    """A diagnosis that the model can predict."""

    code: DiagnosisCode
    name: str
    malignant: bool
    icd10: list[str]


class OutOfDistributionCheck(BaseModel):
    """How a version detects an image that is unlike its training images."""

    limit: float = Field(gt=0, description="An image above it cannot be judged.")
    method: str = Field(description="How the value is computed.")
    source: str = Field(description="How the limit was chosen, and its effect.")


class ModelSignature(BaseModel):
    """Whether a version is signed, and by whom."""

    state: Literal["verified", "unverified", "unsigned"] = Field(
        description="`verified` by a key of LENTIGO_MODEL_KEY; `unverified`: there is a signature, "
        "and no key to check it with; `unsigned`."
    )
    key: str | None = Field(
        description="Fingerprint of the key that verified it: SHA-256 of its PEM text, in hex."
    )


class ModelDetails(ModelReference):
    """The version in use: its labels, thresholds and metrics."""

    model_config = example(
        name="lentigo",
        version="1",
        architecture="mobilenet",
        engine="litert",
        digest="bd0c00d73558a120...",
        engine_speeds={"litert-int8": 120.6, "litert": 122.5},
        created="2026-11-23T10:00:00Z",
        license="CC BY-NC 4.0",
        labels=[
            {"code": "nv", "name": "Melanocytic nevus", "malignant": False, "icd10": ["D22"]},
            {"code": "mel", "name": "Melanoma", "malignant": True, "icd10": ["C43"]},
        ],
        decided_by="balanced",
        decided_by_reason="the version declares its prevalence",
        prevalence={"nv": 0.67, "mel": 0.11},
        prevalence_source="version",
        malignancy_source="fitted by Platt scaling on out-of-fold answers",
        threshold=0.18,
        threshold_source="largest with a sensitivity of at least 0.95 on 938 images",
        abstention_threshold=0.5,
        abstention_source="below it the diagnosis is right for less than 70% of 610 images",
        unlikeness={
            "limit": 7.5,
            "method": "distance of the pooled features to the nearest training images",
            "source": "99% of 610 images that trained nothing are below",
        },
        signature={"state": "verified", "key": "5b1d6c0a9f3e2d47..."},
        metrics={"accuracy": 0.9},
        dataset={"name": "HAM10000", "images": 10015},
        parameters={"total": 4285639, "trainable": 2914823, "frozen": 1370816},
        notice="Research use only. Not a medical device.",
    )

    engine_speeds: dict[str, float] | None = Field(
        description="Images a second of the engines that `auto` chose from, measured on this "
        "machine when it loaded the version; null if there was no choice."
    )
    created: str = Field(description="When training ended, UTC.", examples=["2026-11-23T10:00:00Z"])
    license: str
    labels: list[Label] = Field(description="In the order of the network's output.")
    decided_by: DecidedBy = Field(
        description="How the diagnosis is decided: `balanced`, as if the seven were equally "
        "frequent, or `probable`, for the most probable one."
    )
    decided_by_reason: str = Field(
        description="Why so: a version that declares no prevalence always decides for the most "
        "probable diagnosis."
    )
    prevalence: dict[str, Fraction] | None = Field(
        description="Share of each diagnosis at which the probabilities hold; null if the version "
        "declares none."
    )
    prevalence_source: PrevalenceSource | None = Field(
        description="Whose prevalence that is: the version's own, or the clinic's, which the "
        "operator set."
    )
    malignancy_source: str = Field(
        description="How the probability of malignancy follows from the seven probabilities."
    )
    threshold: Fraction = Field(
        description="Probability of malignancy from which to refer, at this prevalence."
    )
    threshold_source: str = Field(
        description="How the threshold was chosen, and the sensitivity it reaches.",
        examples=["largest with a sensitivity of at least 0.95 on 938 images"],
    )
    abstention_threshold: Fraction | None = Field(
        description="Probability of the most probable diagnosis below which to refer, because the "
        "diagnosis is not reliable; at the prevalence of the version, whatever the clinic's is. "
        "Null if the version has none."
    )
    abstention_source: str = Field(description="How that was chosen; empty if there is none.")
    unlikeness: OutOfDistributionCheck | None = Field(
        description="Null if the version has no such check; then no image is refused for this."
    )
    compression: list[str] | None = Field(
        default=None,
        description="How the network was made smaller than its architecture says, step by step; "
        "null if it was not.",
    )
    forced: str | None = Field(
        default=None,
        description="Why publishing it would have been refused, had it not been forced, such as "
        "that another version is better; null if nothing spoke against it.",
    )
    signature: ModelSignature
    metrics: dict[str, JsonValue] = Field(description="As computed by `lentigo-train evaluate`.")
    dataset: dict[str, JsonValue]
    parameters: dict[str, JsonValue]
    notice: str


class ModelList(BaseModel):
    """The versions in use: one, or none while no model is loaded."""

    model_config = example(models=[example_of(ModelDetails)])

    models: list[ModelDetails]


class OfflineOffer(BaseModel):
    """What a page needs to answer without the service, or why it may not."""

    model_config = example(format=1, objection="This service does not offer it (LENTIGO_OFFLINE).")

    format: int = Field(description="Of `version`; it changes with what an older page misreads.")
    objection: str | None = Field(
        default=None, description="Why the page may not answer by itself, if so."
    )
    version: dict[str, JsonValue] | None = Field(
        default=None,
        description="The version in use: its numbers, its golden answers, and the size and "
        "SHA-256 of the network at `/v1/offline/model`. Null with an objection.",
    )


ConfirmedDiagnosis = Literal["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc", "other"]


class FeedbackRequest(BaseModel):
    """What a lesion turned out to be. There is no member for text, which might name a patient."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"diagnosis": "mel", "confirmed_by": "histopathology"}]},
    )

    diagnosis: ConfirmedDiagnosis = Field(
        description="The confirmed diagnosis; `other` if it is none of the seven."
    )
    confirmed_by: Confirmation = Field(description="How it was confirmed.")


class FeedbackResponse(BaseModel):
    """The feedback, which is on record."""

    model_config = example(
        id="019b1f70-1c2d-7a10-9b1e-52c1f0a7d3e4",
        prediction="019b1f6e-4a57-7c3e-8d5c-0f8f3a2b7d10",
        said="nv",
        diagnosis="mel",
        confirmed_by="histopathology",
        notice="Research use only. Not a medical device.",
    )

    id: str = Field(description="UUID version 7 of this feedback.")
    prediction: str = Field(description="`id` of the prediction.")
    said: DiagnosisCode | None = Field(
        description="What the service said; null if it withheld a diagnosis."
    )
    diagnosis: ConfirmedDiagnosis
    confirmed_by: Confirmation
    notice: str
