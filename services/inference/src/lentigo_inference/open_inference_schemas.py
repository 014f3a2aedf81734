"""Wire models of the Open Inference Protocol, version 2, and its repository extension."""

from typing import Literal

from pydantic import BaseModel, Field

from lentigo_inference.schemas import example


class ServerLive(BaseModel):
    """The process answers."""

    model_config = example(live=True)

    live: bool


class ServerReady(BaseModel):
    """A model is loaded."""

    model_config = example(ready=True)

    ready: bool


class ModelReady(BaseModel):
    """That model is loaded."""

    model_config = example(name="lentigo", ready=True)

    name: str
    ready: bool


class ServerMetadata(BaseModel):
    """What serves here."""

    model_config = example(name="lentigo", version="0.1.0", extensions=[])

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

    model_config = example(
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

    model_config = example(ready=False)

    ready: bool = Field(False, description="Only those that are in use.")


class RepositoryIndexEntry(BaseModel):
    """How one version stands."""

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
