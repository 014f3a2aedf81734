"""JSON schemas of the Open Inference Protocol, version 2, and its repository extension."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from lentigo_inference.api.schemas import example


def _empty_for_null(value: object) -> object:
    return {} if value is None else value


Parameters = Annotated[
    dict[str, JsonValue],
    BeforeValidator(_empty_for_null, json_schema_input_type=dict[str, JsonValue] | None),
]
"""Parameters by name; MLServer's client sends null if it has none."""


class ServerLive(BaseModel):
    """The process responds."""

    model_config = example(live=True)

    live: bool


class ServerReady(BaseModel):
    """A model is loaded."""

    model_config = example(ready=True)

    ready: bool


class ModelReady(BaseModel):
    """The model is loaded."""

    model_config = example(name="lentigo", ready=True)

    name: str
    ready: bool


class ServerMetadata(BaseModel):
    """The server and its protocol extensions."""

    model_config = example(
        name="lentigo", version="0.2.0", extensions=["binary_tensor_data", "model_repository"]
    )

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """An input or output tensor; -1 stands for any number of images."""

    name: str
    datatype: Literal["UINT8", "FP32"]
    shape: list[int]


class ModelMetadata(BaseModel):
    """A model's tensors, as the Open Inference Protocol describes them."""

    model_config = example(
        name="lentigo",
        versions=["1"],
        platform="tensorflow_savedmodel",
        inputs=[{"name": "image", "datatype": "UINT8", "shape": [-1, 224, 224, 3]}],
        outputs=[
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 7]},
            {"name": "activation_map", "datatype": "FP32", "shape": [-1, 7, 7, 7]},
            {"name": "unlikeness", "datatype": "FP32", "shape": [-1]},
        ],
    )

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class InputTensor(BaseModel):
    """Images as the network expects them; `lentigo_contract.imaging.read` makes them from files."""

    name: str
    shape: list[int] = Field(max_length=8)
    datatype: str
    parameters: Parameters = {}
    data: list[Any] | None = Field(None, description="Flat or nested; not with binary data.")


class RequestedOutput(BaseModel):
    """An output tensor that the client requests."""

    name: str
    parameters: Parameters = {}


class InferRequest(BaseModel):
    """An inference request with 1 to 32 images; as JSON numbers, at most 4."""

    model_config = example(
        id="1",
        inputs=[
            {
                "name": "image",
                "shape": [1, 224, 224, 3],
                "datatype": "UINT8",
                "parameters": {"binary_data_size": 150528},
            }
        ],
        outputs=[{"name": "probabilities", "parameters": {"binary_data": False}}],
    )

    id: str | None = Field(None, max_length=256)
    parameters: Parameters = {}
    inputs: list[InputTensor] = Field(min_length=1, max_length=8)
    outputs: list[RequestedOutput] | None = Field(
        None, max_length=8, description="By default all of them."
    )


class OutputTensor(BaseModel):
    """An output tensor; in binary, its data follow the JSON."""

    name: str
    datatype: Literal["FP32"]
    shape: list[int]
    parameters: dict[str, JsonValue] | None = None
    data: list[float] | None = None


class InferResponse(BaseModel):
    """The outputs of the network, in the order of the images."""

    model_config = example(
        model_name="lentigo",
        model_version="1",
        id="1",
        outputs=[
            {
                "name": "probabilities",
                "datatype": "FP32",
                "shape": [1, 7],
                "data": [0.01, 0.01, 0.01, 0.0, 0.03, 0.93, 0.01],
            }
        ],
    )

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class LoadParameters(BaseModel):
    """What to load. Other parameters of Triton are refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    version: str | None = Field(None, description="Stay with this version; by default the newest.")
    force: bool = Field(
        default=False,
        description="With a version: load it although its manifest says that its publication was "
        "forced, or that it was trained with a limit.",
    )


class LoadRequest(BaseModel):
    """Load a version and stay with it; without a version, follow the newest again."""

    model_config = example(parameters={"version": "1"})

    parameters: LoadParameters | None = None


class LoadedVersion(BaseModel):
    """The version that is now in use."""

    model_config = example(name="lentigo", version="1")

    name: str
    version: str


class UnloadedModel(BaseModel):
    """The model, which has no version in use."""

    model_config = example(name="lentigo")

    name: str


class RepositoryIndexRequest(BaseModel):
    """Which versions to list."""

    model_config = example(ready=False)

    ready: bool | None = Field(None, description="Whether to list only the version in use.")


class RepositoryIndexEntry(BaseModel):
    """The state of one version."""

    model_config = example(
        name="lentigo",
        version="2",
        state="UNAVAILABLE",
        reason="variables/variables.data-00000-of-00001 is missing.",
    )

    name: str
    version: str
    state: Literal["READY", "LOADING", "UNAVAILABLE"]
    reason: str
