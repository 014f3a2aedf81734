"""The Open Inference Protocol, version 2: health and metadata.

https://github.com/kserve/open-inference-protocol, as KServe, Triton and MLServer speak it.
"""

from typing import Final

from fastapi import APIRouter

from lentigo_contract.errors import NotReadyError, VersionNotFoundError
from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore
from lentigo_inference import __version__
from lentigo_inference.engines.base import UNLIKENESS, outputs_of
from lentigo_inference.open_inference_schemas import (
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    TensorMetadata,
)
from lentigo_inference.openapi import problem_responses
from lentigo_inference.services import Services, ServicesOfRequest
from lentigo_inference.serving.model_slot import LoadedModel

router = APIRouter(prefix="/v2", tags=["open inference"])

_EXTENSIONS: Final = ("binary_tensor_data", "model_repository")


@router.get("", responses=problem_responses())
async def server_metadata(services: ServicesOfRequest) -> ServerMetadata:
    """Tell what serves here."""
    return ServerMetadata(
        name=services.store.name, version=__version__, extensions=list(_EXTENSIONS)
    )


@router.get("/health/live", responses=problem_responses())
async def server_live() -> ServerLive:
    """Tell that the process answers; a container that does not should be started anew."""
    return ServerLive(live=True)


@router.get("/health/ready", responses=problem_responses(503))
async def server_ready(services: ServicesOfRequest) -> ServerReady:
    """Tell whether predictions would be answered; 503 says why not."""
    services.stopping.require_running()
    services.slot.require()
    return ServerReady(ready=True)


@router.get("/models/{model}", responses=problem_responses(404, 503))
@router.get("/models/{model}/versions/{version}", responses=problem_responses(404, 503))
async def model_metadata(
    services: ServicesOfRequest, model: str, version: str | None = None
) -> ModelMetadata:
    """Describe the tensors of the version in use."""
    loaded = wanted_model(services, model, version)
    manifest = loaded.stored.manifest
    geometry, cells = manifest.input, manifest.activation_map
    classes = len(CODES)
    image = [-1, geometry.height, geometry.width, geometry.channels]
    shapes = {
        "probabilities": [-1, classes],
        "activation_map": [-1, cells.height, cells.width, classes],
        UNLIKENESS: [-1],
    }
    return ModelMetadata(
        name=manifest.name,
        versions=[str(manifest.version)],
        platform=loaded.engine.platform,
        inputs=[TensorMetadata(name="image", datatype="UINT8", shape=image)],
        outputs=[
            TensorMetadata(name=name, datatype="FP32", shape=shapes[name])
            for name in outputs_of(manifest)
        ],
    )


@router.get("/models/{model}/ready", responses=problem_responses(404, 503))
@router.get("/models/{model}/versions/{version}/ready", responses=problem_responses(404, 503))
async def model_ready(
    services: ServicesOfRequest, model: str, version: str | None = None
) -> ModelReady:
    """Tell whether a model, or one version of it, is in use."""
    services.stopping.require_running()
    loaded = wanted_model(services, model, version)
    return ModelReady(name=loaded.stored.manifest.name, ready=True)


def wanted_model(services: Services, model: str, version: str | None) -> LoadedModel:
    """Give the model in use if it is the one that was asked for.

    Raises:
        VersionNotFoundError: another model, or a version the repository does not hold.
        NotReadyError: it is known but not in use.
    """
    require_known(services.store, model)
    current = services.slot.current
    if version is None:
        return services.slot.require()
    if current is not None and version == str(current.version):
        return current
    for state in services.reloader.states():
        if version == str(state.version):
            raise NotReadyError(
                f"Version {version} is not in use: {state.reason or state.status.lower()}",
                services.settings.reload_interval_s,
            )
    raise VersionNotFoundError(
        "The repository holds no such version. POST /v2/repository/index lists those there are."
    )


def require_known(store: ModelStore, model: str) -> None:
    """Refuse any other model; raises VersionNotFoundError."""
    if model != store.name:
        raise VersionNotFoundError(f'The only model served here is "{store.name}".')
